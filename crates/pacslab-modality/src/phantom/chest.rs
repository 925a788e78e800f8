//! The chest between the aortic arch and the domes of the diaphragm, arms raised.
//!
//! z = 0 is the level of the aortic root, the carina is at 45, the arch at 72, the right dome at
//! about -55. Painted from outside to inside: fat, muscle, rib cage, lungs, vessels, mediastinum,
//! heart, spine, ribs.

use super::Material::{Hu, Lung};
use super::builder::{Builder, FAT, MUSCLE};
use super::habitus::Habitus;
use super::shape::square;
use super::{Phantom, Shape, vessels};

pub fn build(body: &Habitus, contrast: bool) -> Phantom {
    let mut builder = Builder::new(body, contrast);
    builder.table(107.0);
    builder.wall();
    builder.lungs();
    builder.mediastinum();
    builder.heart();
    builder.abdomen_top();
    builder.spine();
    builder.ribs();
    builder.phantom
}

/// Inner half axes of the rib cage at the reference size, and how it narrows upwards.
pub(super) const CAGE: [f32; 3] = [134.0, 90.0, 225.0];
const CAGE_CENTER_Z: f32 = -70.0;

pub(super) fn narrowing(z: f32) -> f32 {
    let t = (z - CAGE_CENTER_Z) / CAGE[2];
    (1.0 - t * t).max(0.04).sqrt()
}

impl Builder<'_> {
    fn wall(&mut self) {
        let (s, fat) = (self.s, self.body.fat);
        let trunk = |grow: f32, hu: f32| {
            let r = [158.0 * s + fat + grow, 104.0 * s + 0.75 * fat + grow, 1e5];
            Shape::barrel([0.0, 0.0, 0.0], r, Hu(hu))
        };
        let mut random = self.body.random("breasts");
        let size = random.about(1.0, 12.0) * (0.8 + fat / 60.0);
        let front = -(94.0 * s + 0.75 * fat);
        let breasts = |grow: f32, hu: f32| {
            let r = [60.0 * size + grow, 32.0 * size + grow, 62.0 * size + grow];
            let at = |side: f32| [side * 78.0 * s, front, -18.0];
            [-1.0, 1.0].map(|side| Shape::ellipsoid(at(side), r, Hu(hu)))
        };
        // all skin before all fat, so that no skin runs through the inside
        let sides = if self.body.female { 2 } else { 0 };
        breasts(1.5, 10.0).into_iter().take(sides).for_each(|shape| self.phantom.add(shape));
        self.phantom.add(trunk(1.5, 10.0));
        breasts(0.0, FAT).into_iter().take(sides).for_each(|shape| self.phantom.add(shape));
        self.phantom.add(trunk(0.0, FAT));
        for side in [-1.0, 1.0].into_iter().take(sides) {
            for _ in 0..10 {
                let at = [
                    side * (78.0 * s + random.between(-20.0, 22.0)),
                    front - random.between(-2.0, 17.0) * size,
                    -18.0 + random.between(-28.0, 24.0),
                ];
                let r = [0; 3].map(|_| random.between(4.0, 11.0) * size);
                self.phantom.add(Shape::ellipsoid(at, r, Hu(random.between(0.0, 35.0))));
            }
        }
        // muscle all round, thick at the flanks (latissimus, serratus) and beside the spine
        self.barrel([0.0, 2.0, -40.0], [157.0, 101.0, 420.0], Hu(MUSCLE));
        for side in [-1.0, 1.0] {
            self.barrel([side * 36.0, 88.0, 0.0], [33.0, 19.0, 1e4], Hu(MUSCLE));
            // pectoral muscles over a plane of fat
            self.tilted(
                [side * 78.0, -84.0, 48.0],
                [side, 0.34, -0.2],
                [62.0, 12.0, 62.0],
                Hu(FAT),
            );
            self.tilted(
                [side * 78.0, -87.0, 48.0],
                [side, 0.34, -0.2],
                [60.0, 10.0, 60.0],
                Hu(MUSCLE),
            );
            // between the layers of muscle
            self.tilted(
                [side * 139.0, 22.0, 10.0],
                [0.25 * side, 1.0, 0.0],
                [44.0, 4.5, 130.0],
                Hu(FAT),
            );
            self.tilted(
                [side * 98.0, 92.0, 55.0],
                [side, -0.42, 0.0],
                [52.0, 15.0, 70.0],
                Hu(MUSCLE),
            );
            // shoulder blades
            self.tilted(
                [side * 104.0, 87.0, 62.0],
                [side, -0.5, 0.1],
                [44.0, 4.6, 66.0],
                Hu(520.0),
            );
            self.tilted(
                [side * 104.0, 87.0, 62.0],
                [side, -0.5, 0.1],
                [41.0, 2.2, 62.0],
                Hu(190.0),
            );
        }
        // fat in front of the spinous processes, between the paraspinal muscles
        self.tube([0.0, 108.0, -300.0], [0.0, 108.0, 300.0], 5.0, 5.0, Hu(FAT));
    }

    fn lungs(&mut self) {
        let [x, y, z] = CAGE;
        let center = [0.0, 0.0, CAGE_CENTER_Z];
        self.barrel(center, [x + 10.0, y + 9.0, z + 9.0], Hu(FAT + 15.0));
        self.barrel(center, [x + 7.5, y + 7.0, z + 7.0], Hu(MUSCLE));
        self.barrel(center, [x, y, z], Lung);

        let mut random = self.body.random("lung vessels");
        for side in [-1.0f32, 1.0] {
            // arteries beside the bronchi, then veins, which end deeper at the left atrium; each
            // from its hilum to its levels
            for (start, radius, levels, count) in [
                ([40.0, 4.0, 34.0], 4.6, (14.0, 122.0), 160),
                ([46.0, 10.0, 8.0], 5.4, (-100.0, 30.0), 200),
                ([42.0, -2.0, 12.0], 4.2, (-8.0, 110.0), 110),
                ([40.0, 20.0, -24.0], 4.2, (-100.0, 4.0), 110),
            ] {
                let start: [f32; 3] = start;
                let start = [side * start[0], start[1], start[2]];
                let mut targets = Vec::with_capacity(count);
                while targets.len() < count {
                    let p = [
                        side * random.between(22.0, 134.0),
                        random.between(-86.0, 86.0),
                        random.between(levels.0, levels.1),
                    ];
                    if self.in_lung(p, 0.95) {
                        targets.push(p.map(|v| v * self.s));
                    }
                }
                let start = start.map(|v| v * self.s);
                vessels::grow(
                    &mut self.phantom,
                    &mut random,
                    start,
                    radius * self.s,
                    &mut targets,
                    self.blood.lung_vessels,
                );
            }
        }
        self.airways();
    }

    /// Inside the rib cage, outside the mediastinum, heart and diaphragm; reference size.
    fn in_lung(&self, p: [f32; 3], reach: f32) -> bool {
        let shrink = narrowing(p[2]) * reach;
        let (u, v) = ((p[0] / (CAGE[0] * shrink)).abs(), (p[1] / (CAGE[1] * shrink)).abs());
        let barrel = u * u * u.sqrt().sqrt() + v * v * v.sqrt().sqrt();
        let away = |c: [f32; 3], r: [f32; 3]| {
            (0..3).map(|at| square((p[at] - c[at]) / r[at])).sum::<f32>() > 1.0
        };
        barrel < 1.0
            && away([22.0, -28.0, -38.0], [76.0, 62.0, 62.0])
            && away([0.0, 70.0, p[2]], [34.0, 30.0, 1.0])
            && away(RIGHT_DOME.0, RIGHT_DOME.1.map(|r| r + 4.0))
            && away(LEFT_DOME.0, LEFT_DOME.1.map(|r| r + 4.0))
    }

    /// Bronchi as far as their walls can be seen.
    fn airways(&mut self) {
        let branches: &[([f32; 3], [f32; 3], f32, f32)] = &[
            ([-38.0, 12.0, 30.0], [-66.0, -8.0, 62.0], 4.0, 2.6),
            ([-36.0, 14.0, 26.0], [-58.0, 2.0, -18.0], 4.6, 2.8),
            ([-46.0, 8.0, 0.0], [-74.0, -34.0, -14.0], 3.2, 2.0),
            ([-52.0, 6.0, -6.0], [-76.0, 46.0, -34.0], 3.2, 1.8),
            ([44.0, 18.0, 26.0], [68.0, -14.0, 52.0], 3.8, 2.4),
            ([46.0, 20.0, 24.0], [64.0, 34.0, -30.0], 4.4, 2.4),
            ([56.0, 26.0, 0.0], [84.0, 42.0, -30.0], 3.0, 1.8),
            ([-66.0, -8.0, 62.0], [-84.0, -30.0, 78.0], 2.4, 1.6),
            ([68.0, -14.0, 52.0], [86.0, -40.0, 60.0], 2.3, 1.6),
        ];
        for (a, b, r0, r1) in branches {
            self.tube(*a, *b, r0 + 1.3, r1 + 0.9, Hu(10.0));
            self.tube(*a, *b, *r0, *r1, Hu(-960.0));
        }
    }

    fn mediastinum(&mut self) {
        let fat = Hu(-85.0);
        self.ball([2.0, 26.0, 30.0], [36.0, 42.0, 170.0], fat);
        self.ball([4.0, -28.0, 50.0], [33.0, 44.0, 105.0], fat);
        // behind the breastbone the lungs almost meet
        self.ball([2.0, -74.0, 10.0], [20.0, 26.0, 120.0], fat);
        // pericardial fat below
        self.ball([20.0, -30.0, -42.0], [66.0, 56.0, 57.0], fat);

        let (right, left) = (self.blood.right_heart, self.blood.left_heart);
        let lumen = self.blood.lung_vessels;
        // oesophagus, with some air in it
        self.tube([8.0, 33.0, -200.0], [-2.0, 30.0, 200.0], 7.5, 7.5, Hu(40.0));
        self.tube([8.0, 33.0, -200.0], [-2.0, 30.0, 200.0], 2.0, 2.0, Hu(-600.0));
        // descending aorta, arch, ascending aorta
        let aorta = [
            ([12.0, 42.0, -240.0], 11.5),
            ([24.0, 44.0, -20.0], 12.0),
            ([25.0, 40.0, 48.0], 12.5),
            ([22.0, 26.0, 68.0], 13.0),
            ([8.0, -4.0, 76.0], 13.5),
            ([-10.0, -22.0, 62.0], 14.5),
            ([-14.0, -28.0, 34.0], 15.5),
            ([-6.0, -24.0, 6.0], 16.0),
        ];
        let wall: Vec<_> = aorta.iter().map(|(at, r)| (*at, r + 1.3)).collect();
        self.tubes(&wall, Hu(50.0));
        self.tubes(&aorta, left);
        self.calcifications(&aorta);
        // superior vena cava and the vein that joins it
        let vein =
            [([-26.0, -8.0, 150.0], 8.5), ([-28.0, -10.0, 60.0], 9.5), ([-27.0, -12.0, 0.0], 10.5)];
        self.tubes(&vein, right);
        self.tube([-14.0, 44.0, -240.0], [-13.0, 46.0, 52.0], 4.0, 4.5, right);
        self.tubes(
            &[([-13.0, 46.0, 50.0], 4.5), ([-24.0, 26.0, 58.0], 4.5), ([-28.0, -2.0, 54.0], 5.0)],
            right,
        );
        // pulmonary trunk; the right artery passes behind the ascending aorta
        let trunk =
            [([14.0, -42.0, 0.0], 13.0), ([18.0, -36.0, 20.0], 14.0), ([22.0, -18.0, 34.0], 13.5)];
        self.tubes(&trunk, lumen);
        self.tubes(
            &[
                ([22.0, -18.0, 34.0], 12.0),
                ([2.0, -4.0, 29.0], 10.5),
                ([-22.0, 4.0, 27.0], 10.5),
                ([-46.0, 5.0, 20.0], 8.5),
                ([-54.0, 10.0, -8.0], 6.5),
            ],
            lumen,
        );
        self.tubes(
            &[
                ([22.0, -18.0, 34.0], 12.5),
                ([36.0, 4.0, 40.0], 11.5),
                ([48.0, 18.0, 34.0], 9.0),
                ([54.0, 26.0, 4.0], 7.0),
            ],
            lumen,
        );
        // windpipe and main bronchi
        for (grow, hu) in [(1.8, 30.0), (0.0, -990.0)] {
            self.tubes(
                &[([0.0, 6.0, 220.0], 8.5 + grow), ([-1.0, 14.0, 46.0], 9.0 + grow)],
                Hu(hu),
            );
            self.tubes(
                &[
                    ([-1.0, 14.0, 46.0], 8.0 + grow),
                    ([-22.0, 14.0, 34.0], 7.0 + grow),
                    ([-40.0, 13.0, 27.0], 5.6 + grow),
                ],
                Hu(hu),
            );
            self.tubes(
                &[
                    ([-1.0, 14.0, 46.0], 7.5 + grow),
                    ([24.0, 18.0, 32.0], 6.4 + grow),
                    ([46.0, 20.0, 24.0], 5.4 + grow),
                ],
                Hu(hu),
            );
        }
    }

    /// Plaques of the aortic wall: the older, the more.
    fn calcifications(&mut self, aorta: &[([f32; 3], f32)]) {
        let mut random = self.body.random("calcifications");
        let count = ((self.body.age - 52.0) / 3.0).max(0.0) as usize;
        for _ in 0..count {
            let at = 1 + random.below(aorta.len().saturating_sub(2));
            let (Some((a, r)), Some((b, _))) = (aorta.get(at), aorta.get(at - 1)) else { continue };
            let t = random.unit();
            let angle = random.between(0.0, std::f32::consts::TAU);
            let spot = [
                a[0] + t * (b[0] - a[0]) + r * libm::cosf(angle),
                a[1] + t * (b[1] - a[1]) + r * libm::sinf(angle),
                a[2] + t * (b[2] - a[2]),
            ];
            let size = random.between(1.0, 2.4);
            self.ball(spot, [size, size, size * 1.5], Hu(random.between(350.0, 800.0)));
        }
    }

    fn heart(&mut self) {
        let mut random = self.body.random("heart");
        let k = random.about(1.0, 5.0);
        let axis = [0.74, -0.55, -0.39];
        let r = |r: [f32; 3]| r.map(|v| v * k);
        let muscle = self.blood.myocardium;
        let (right, left) = (self.blood.right_heart, self.blood.left_heart);
        // right atrium and ventricle lie to the right and in front
        self.ball([-26.0, -22.0, -26.0], r([23.0, 27.0, 33.0]), muscle);
        self.ball([-26.0, -22.0, -26.0], r([20.5, 24.5, 30.5]), right);
        self.tilted([10.0, -52.0, -40.0], [0.9, -0.2, -0.35], r([43.0, 26.0, 34.0]), muscle);
        self.tilted([9.0, -52.0, -40.0], [0.9, -0.2, -0.35], r([39.0, 22.0, 30.0]), right);
        self.tube([12.0, -48.0, -22.0], [15.0, -42.0, 4.0], 14.0 * k, 12.5 * k, right);
        // the groove between atrium and ventricle, with its artery
        self.tube([-18.0, -46.0, -8.0], [-14.0, -42.0, -58.0], 4.0, 4.0, Hu(-80.0));
        self.tube([-18.0, -46.0, -8.0], [-14.0, -42.0, -58.0], 1.5, 1.5, left);
        // left atrium behind, with the pulmonary veins
        self.ball([6.0, 8.0, -14.0], r([35.0, 19.0, 23.0]), muscle);
        self.ball([6.0, 8.0, -14.0], r([33.0, 17.0, 21.0]), left);
        for (from, to) in [
            ([-24.0, 8.0, -10.0], [-56.0, 2.0, 6.0]),
            ([-22.0, 14.0, -22.0], [-58.0, 28.0, -34.0]),
            ([32.0, 10.0, -8.0], [58.0, 4.0, 10.0]),
            ([32.0, 16.0, -20.0], [62.0, 34.0, -34.0]),
        ] {
            self.tube(from, to, 7.0, 4.5, left);
        }
        // left ventricle: a thick wall around the cavity
        self.tilted([42.0, -26.0, -48.0], axis, r([50.0, 33.0, 33.0]), muscle);
        self.tilted([40.0, -25.0, -47.0], axis, r([40.0, 22.0, 22.0]), left);
        for spot in [[50.0, -18.0, -54.0], [38.0, -38.0, -56.0]] {
            self.tilted(spot, axis, [12.0, 4.0, 4.0], muscle);
        }
        // outflow and root of the aorta
        self.tube([16.0, -18.0, -28.0], [-6.0, -24.0, 6.0], 12.0, 15.5, left);
        // anterior interventricular artery in its fat
        self.tube([26.0, -40.0, -6.0], [62.0, -68.0, -62.0], 4.0, 3.0, Hu(-80.0));
        self.tube([26.0, -40.0, -6.0], [62.0, -68.0, -62.0], 1.7, 1.1, left);
        // inferior vena cava
        self.tube([-24.0, -4.0, -200.0], [-25.0, -12.0, -44.0], 12.0, 12.0, right);
    }

    /// Liver, spleen and stomach below the diaphragm.
    fn abdomen_top(&mut self) {
        let liver = self.blood.liver;
        let grow = |r: [f32; 3], by: f32| r.map(|v| v + by);
        self.ball(RIGHT_DOME.0, grow(RIGHT_DOME.1, 2.0), Hu(MUSCLE));
        self.ball(RIGHT_DOME.0, RIGHT_DOME.1, liver);
        self.ball(LEFT_DOME.0, grow(LEFT_DOME.1, 2.0), Hu(MUSCLE));
        self.ball(LEFT_DOME.0, LEFT_DOME.1, Hu(-90.0));
        self.ball([96.0, 38.0, -132.0], [30.0, 40.0, 52.0], liver);
        self.ball([58.0, -22.0, -126.0], [36.0, 34.0, 46.0], Hu(35.0));
        self.ball([60.0, -38.0, -118.0], [26.0, 16.0, 34.0], Hu(-980.0));
    }
}

/// The domes of the diaphragm: centres and half axes.
const RIGHT_DOME: ([f32; 3], [f32; 3]) = ([-58.0, 2.0, -150.0], [82.0, 84.0, 96.0]);
const LEFT_DOME: ([f32; 3], [f32; 3]) = ([72.0, 6.0, -156.0], [64.0, 80.0, 84.0]);
