//! The skeleton of the chest: thoracic spine, ribs with their cartilage, breastbone.

use super::Material::Hu;
use super::builder::{Builder, MUSCLE};
use super::chest::{CAGE, narrowing};

impl Builder<'_> {
    pub(super) fn spine(&mut self) {
        let marrow = (230.0 - 1.4 * self.body.age).max(90.0);
        // the muscles and fat that hold it, up to the canal
        self.ball([0.0, 74.0, 0.0], [34.0, 27.0, 1e4], Hu(MUSCLE));
        self.tube([0.0, 66.0, -300.0], [0.0, 66.0, 300.0], 21.0, 21.0, Hu(-20.0));
        for k in -8..9 {
            let z = 27.0 * k as f32;
            self.barrel([0.0, 58.0, z], [18.0, 15.0, 12.4], Hu(560.0));
            self.barrel([0.0, 58.0, z], [16.2, 13.2, 11.0], Hu(marrow));
            self.barrel([0.0, 58.0, z + 13.5], [16.5, 13.5, 2.6], Hu(85.0));
            // arch: pedicles, laminae, transverse and spinous processes
            for side in [-1.0, 1.0] {
                self.tubes(
                    &[
                        ([side * 12.0, 68.0, z + 3.0], 4.2),
                        ([side * 13.0, 82.0, z + 2.0], 4.4),
                        ([side * 2.0, 93.0, z - 8.0], 3.6),
                    ],
                    Hu(520.0),
                );
                self.tubes(
                    &[([side * 12.0, 80.0, z + 4.0], 5.0), ([side * 31.0, 91.0, z + 5.0], 4.4)],
                    Hu(480.0),
                );
                self.tubes(
                    &[([side * 13.0, 80.0, z + 4.0], 2.6), ([side * 31.0, 91.0, z + 5.0], 2.4)],
                    Hu(marrow),
                );
            }
            self.tubes(&[([0.0, 92.0, z - 6.0], 4.2), ([0.0, 108.0, z - 26.0], 3.2)], Hu(500.0));
            self.tubes(&[([0.0, 92.0, z - 6.0], 2.2), ([0.0, 107.0, z - 24.0], 1.6)], Hu(marrow));
        }
        self.tube([0.0, 80.0, -300.0], [0.0, 80.0, 300.0], 8.4, 8.4, Hu(10.0));
        self.ball([0.0, 80.0, 0.0], [5.4, 4.2, 1e4], Hu(38.0));
    }

    /// Ten pairs that fall from back to front, their cartilage, and the breastbone.
    pub(super) fn ribs(&mut self) {
        let marrow = Hu(190.0);
        let point = |side: f32, k: i32, angle: f32| -> [f32; 3] {
            let drop = 62.0 * angle / 2.5 + if angle < 0.6 { 0.0 } else { 6.0 };
            let z = 27.0 * k as f32 + 8.0 - drop;
            let narrow = narrowing(z);
            let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
            // the barrel's outline: power 2 / 2.25 of the circle's
            let root = |v: f32| libm::powf(v.abs(), 8.0 / 9.0) * v.signum();
            [side * (CAGE[0] + 3.5) * narrow * root(sin), (CAGE[1] + 3.5) * narrow * root(cos), z]
        };
        for k in -5..9 {
            for side in [-1.0, 1.0] {
                let steps = 26;
                let angles: Vec<f32> =
                    (0..=steps).map(|i| 0.30 + 2.1 * i as f32 / steps as f32).collect();
                let course: Vec<[f32; 3]> =
                    angles.iter().map(|angle| point(side, k, *angle)).collect();
                for (radius, material) in [(4.9, Hu(640.0)), (3.1, marrow)] {
                    let tube: Vec<_> = course.iter().map(|at| (*at, radius)).collect();
                    self.tubes(&tube, material);
                }
                let cartilage = [
                    (point(side, k, 2.4), 4.8),
                    (point(side, k, 2.65), 4.8),
                    (point(side, k, 2.85), 4.6),
                ];
                self.tubes(&cartilage, Hu(110.0));
            }
        }
        for step in -4..12 {
            let z = 10.0 * step as f32;
            let y = -(CAGE[1] + 4.0) * narrowing(z);
            self.ball([0.0, y, z], [19.0, 7.0, 9.0], Hu(420.0));
        }
        for step in -4..12 {
            let z = 10.0 * step as f32;
            let y = -(CAGE[1] + 4.0) * narrowing(z);
            self.ball([0.0, y, z], [16.5, 4.6, 9.0], Hu(130.0));
        }
    }
}
