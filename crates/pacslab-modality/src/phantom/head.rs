//! The head from the vertex to the orbits.
//!
//! The origin is the middle of the brain. From outside to inside: holder, scalp, skull, cortex
//! with its folds, white matter, ventricles, deep nuclei; then the base with its air and orbits.

use super::Material::Hu;
use super::builder::Builder;
use super::habitus::Habitus;
use super::{Phantom, Shape};

const CSF: f32 = 8.0;
const GRAY: f32 = 39.0;
const WHITE: f32 = 27.0;

pub fn build(body: &Habitus, contrast: bool) -> Phantom {
    let mut builder = Builder::new(body, contrast);
    // heads differ less than bodies
    builder.s = 1.0 + 0.4 * (body.frame - 1.0);
    builder.holder();
    builder.skull();
    builder.brain();
    builder.ventricles();
    builder.hindbrain();
    builder.base();
    builder.brain_vessels(contrast);
    builder.phantom
}

impl Builder<'_> {
    fn holder(&mut self) {
        for (grow, hu) in [(4.0, -250.0), (0.0, -960.0)] {
            let r = [99.0 + grow, 112.0 + grow, 1e5];
            let shell = Shape::ellipsoid([0.0, 6.0, 0.0], r, Hu(hu)).cut([0.0, 1.0, 0.0], 30.0);
            self.phantom.add(shell);
        }
    }

    fn skull(&mut self) {
        // the face hangs in front of and below the vault
        self.barrel([0.0, -30.0, -80.0], [66.0, 81.0, 75.0], Hu(25.0));
        self.barrel([0.0, -30.0, -80.0], [63.0, 78.0, 73.0], Hu(-40.0));
        for (r, hu) in [
            ([79.0, 98.0, 99.0], 25.0),
            ([77.0, 96.0, 97.0], -60.0),
            ([74.5, 93.5, 94.5], 40.0),
            ([73.5, 92.5, 93.5], 1150.0),
            ([71.5, 90.5, 91.5], 650.0),
            ([69.3, 88.0, 89.3], 1200.0),
            ([67.3, 86.0, 87.3], CSF + 4.0),
        ] {
            self.ball([0.0, 0.0, 0.0], r, Hu(hu));
        }
    }

    /// Cortex around white matter, folded inwards along furrows.
    fn brain(&mut self) {
        let mut random = self.body.random("furrows");
        // brains shrink with age: the furrows open
        let atrophy = ((self.body.age - 40.0) / 40.0).clamp(0.0, 1.2);
        let outer = [66.3 - 0.8 * atrophy, 85.0 - 0.8 * atrophy, 86.3];
        self.ball([0.0, 0.0, 0.0], outer, Hu(GRAY));
        self.ball([0.0, 0.0, 2.0], [59.0, 77.0, 78.0], Hu(WHITE));
        let count = 330;
        let course: Vec<_> = (0..count)
            .map(|i| {
                // evenly over the sphere, by the golden angle
                let z = 1.0 - 2.0 * (i as f32 + 0.5) / count as f32;
                let angle = 2.399_963_2 * i as f32 + random.between(-0.08, 0.08);
                let level = (1.0 - z * z).max(0.0).sqrt();
                let direction = [level * libm::cosf(angle), level * libm::sinf(angle), z];
                (direction, random.between(0.66, 0.86), random.between(0.7, 1.3))
            })
            .filter(|(direction, ..)| direction[2] > -0.45)
            .collect();
        let point = |d: [f32; 3], k: f32| [0, 1, 2].map(|at| d[at] * outer[at] * k);
        for (direction, depth, _) in &course {
            let (from, to) = (point(*direction, 0.91), point(*direction, *depth));
            self.tube(from, to, 5.6, 4.6, Hu(GRAY));
        }
        for (direction, depth, width) in &course {
            let (from, to) = (point(*direction, 0.98), point(*direction, depth + 0.03));
            let wide = width * (1.1 + 0.9 * atrophy);
            self.tube(from, to, wide, 0.55 * wide, Hu(CSF));
        }
        for side in [-1.0, 1.0] {
            // the lateral fissure and the insula beneath it
            self.tilted(
                [side * 50.0, -14.0, 2.0],
                [1.0, -0.25 * side, 0.0],
                [15.0, 7.0, 20.0],
                Hu(GRAY),
            );
            let open = 1.8 + 1.2 * atrophy;
            self.tilted(
                [side * 51.0, -14.0, 2.0],
                [1.0, -0.25 * side, 0.0],
                [15.0, open, 17.0],
                Hu(CSF),
            );
        }
        // between the hemispheres, with the falx; the commissure bridges them
        self.ball([0.0, 0.0, 12.0], [5.5, 83.0, 74.0], Hu(GRAY));
        self.ball([0.0, 0.0, 12.0], [1.7 + 0.6 * atrophy, 85.0, 77.0], Hu(CSF));
        let falx = Shape::ellipsoid([0.0, 0.0, 12.0], [0.9, 87.0, 78.0], Hu(52.0));
        self.phantom.add(falx.cut([0.0, 0.0, 1.0], 24.0));
        self.ball([0.0, -2.0, 16.0], [15.0, 37.0, 13.0], Hu(WHITE));
        for side in [-1.0, 1.0] {
            self.tilted(
                [side * 13.0, -24.0, 10.0],
                [0.35 * side, 1.0, 0.0],
                [12.0, 5.5, 10.0],
                Hu(GRAY + 1.0),
            );
            self.tilted(
                [side * 25.0, -4.0, 4.0],
                [0.22 * side, 1.0, 0.0],
                [20.0, 7.5, 11.0],
                Hu(GRAY + 1.0),
            );
            self.tilted(
                [side * 11.0, 8.0, 6.0],
                [0.4 * side, 1.0, 0.0],
                [15.0, 9.0, 11.0],
                Hu(GRAY),
            );
        }
    }

    fn ventricles(&mut self) {
        let atrophy = ((self.body.age - 40.0) / 40.0).clamp(0.0, 1.2);
        let k = 0.9 + 0.35 * atrophy;
        for side in [-1.0, 1.0] {
            let horns: [([f32; 3], [f32; 3], [f32; 3]); 5] = [
                ([side * 9.5, -26.0, 13.0], [-0.45 * side, 1.0, 0.0], [15.0, 4.5, 9.0]),
                ([side * 11.0, -2.0, 21.0], [0.3 * side, 1.0, 0.1], [26.0, 5.5, 6.5]),
                ([side * 22.0, 29.0, 13.0], [0.4 * side, 1.0, -0.2], [15.0, 6.5, 9.0]),
                ([side * 24.0, 50.0, 8.0], [-0.1 * side, 1.0, 0.0], [15.0, 4.0, 6.0]),
                ([side * 32.0, -2.0, -17.0], [0.2 * side, 1.0, 0.3], [14.0, 2.4, 3.0]),
            ];
            for (center, axis, [long, wide, high]) in horns {
                self.tilted(center, axis, [long, wide * k, high * k], Hu(CSF));
            }
            if self.body.age > 35.0 {
                self.ball([side * 22.0, 31.0, 11.0], [2.4, 4.0, 3.0], Hu(190.0));
            }
        }
        self.ball([0.0, -3.0, 2.0], [1.6 + 1.4 * atrophy, 14.0, 9.0], Hu(CSF));
        if self.body.age > 25.0 {
            self.ball([0.0, 21.0, 3.0], [1.9, 2.4, 2.0], Hu(260.0));
        }
    }

    fn hindbrain(&mut self) {
        // cisterns, then what they surround
        self.ball([0.0, 0.0, -22.0], [23.0, 20.0, 9.0], Hu(CSF));
        self.ball([0.0, 26.0, -16.0], [24.0, 9.0, 9.0], Hu(CSF));
        for side in [-1.0, 1.0] {
            self.ball([side * 23.0, 48.0, -42.0], [27.0, 30.0, 22.0], Hu(GRAY + 1.0));
            self.ball([side * 18.0, 46.0, -42.0], [14.0, 16.0, 11.0], Hu(WHITE + 3.0));
            self.tube(
                [side * 8.0, 8.0, -12.0],
                [side * 4.0, 16.0, -24.0],
                7.5,
                8.0,
                Hu(WHITE + 4.0),
            );
        }
        self.ball([0.0, 54.0, -40.0], [8.0, 24.0, 19.0], Hu(GRAY + 3.0));
        self.tube([0.0, 15.0, -20.0], [0.0, 20.0, -42.0], 11.0, 13.5, Hu(WHITE + 4.0));
        self.tube([0.0, 20.0, -42.0], [0.0, 26.0, -90.0], 13.0, 8.0, Hu(WHITE + 4.0));
        self.ball([0.0, 35.0, -38.0], [7.0, 3.6, 9.0], Hu(CSF));
    }

    /// Bone with air in it, and the orbits.
    fn base(&mut self) {
        self.ball([0.0, -22.0, -48.0], [27.0, 20.0, 13.0], Hu(520.0));
        self.ball([0.0, -25.0, -50.0], [15.0, 13.0, 10.0], Hu(-980.0));
        self.ball([0.0, -3.0, -32.0], [9.0, 3.0, 8.0], Hu(650.0));
        for side in [-1.0, 1.0] {
            self.tube([side * 13.0, 6.0, -47.0], [side * 50.0, 28.0, -44.0], 8.0, 11.0, Hu(950.0));
            self.ball([side * 49.0, 33.0, -49.0], [6.5, 10.0, 11.0], Hu(-350.0));
            self.tube([side * 36.0, 17.0, -48.0], [side * 74.0, 15.0, -49.0], 3.0, 4.0, Hu(-900.0));
            // the wing of the sphenoid parts the fossae
            self.tube(
                [side * 12.0, -28.0, -34.0],
                [side * 58.0, -44.0, -26.0],
                4.0,
                3.5,
                Hu(850.0),
            );
            // orbit: bone, fat, globe with lens, nerve and muscles
            self.ball([side * 33.0, -66.0, -48.0], [22.0, 27.0, 20.5], Hu(800.0));
            self.ball([side * 33.0, -70.0, -48.0], [19.5, 27.0, 18.0], Hu(-90.0));
            self.tube([side * 33.0, -70.0, -48.0], [side * 14.0, -42.0, -44.0], 2.2, 2.2, Hu(35.0));
            for off in [-10.0, 10.0] {
                self.tube(
                    [side * 33.0 + off, -74.0, -48.0],
                    [side * 16.0, -44.0, -45.0],
                    2.6,
                    1.8,
                    Hu(50.0),
                );
            }
            self.ball([side * 33.0, -80.0, -48.0], [12.6, 12.6, 12.6], Hu(45.0));
            self.ball([side * 33.0, -80.0, -48.0], [11.3, 11.3, 11.3], Hu(9.0));
            self.ball([side * 33.0, -89.0, -48.0], [4.8, 2.2, 4.8], Hu(85.0));
            // frontal sinus
            self.ball([side * 9.0, -86.0, -26.0], [8.0, 3.6, 8.0], Hu(-990.0));
        }
        self.ball([0.0, -62.0, -50.0], [12.0, 24.0, 16.0], Hu(350.0));
        for cell in 0..6 {
            let y = -46.0 - 7.0 * cell as f32;
            for side in [-1.0, 1.0] {
                self.ball([side * 5.5, y, -50.0], [4.6, 3.1, 14.0], Hu(-960.0));
            }
        }
    }

    /// Sinus and arteries: a little denser than brain, bright after contrast medium.
    fn brain_vessels(&mut self, contrast: bool) {
        let vein = Hu(if contrast { 160.0 } else { 58.0 });
        let artery = Hu(if contrast { 190.0 } else { 45.0 });
        let sinus: Vec<_> = (0..=12)
            .map(|step| {
                let angle = -0.9 + 3.0 * step as f32 / 12.0;
                let (y, z) = (84.0 * libm::sinf(angle), 85.0 * libm::cosf(angle));
                ([0.0, y, z], 2.4 + 0.15 * step as f32)
            })
            .collect();
        self.tubes(&sinus, vein);
        for side in [-1.0, 1.0] {
            let middle = [
                ([side * 9.0, -12.0, -24.0], 2.0),
                ([side * 26.0, -17.0, -16.0], 1.6),
                ([side * 45.0, -15.0, -6.0], 1.4),
                ([side * 50.0, 2.0, 10.0], 1.0),
            ];
            self.tubes(&middle, artery);
            self.tubes(
                &[
                    ([side * 9.0, -12.0, -24.0], 1.5),
                    ([side * 2.5, -30.0, -10.0], 1.3),
                    ([side * 2.0, -38.0, 14.0], 1.1),
                ],
                artery,
            );
        }
        self.tube([0.0, 4.0, -48.0], [0.0, 4.0, -22.0], 1.8, 1.7, artery);
    }
}
