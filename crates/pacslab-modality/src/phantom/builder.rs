//! What the regions of the body share when they are built.

use super::habitus::Habitus;
use super::{Material, Phantom, Shape};
use Material::Hu;

pub(super) const FAT: f32 = -100.0;
pub(super) const MUSCLE: f32 = 52.0;

/// Attenuation that depends on the injection.
pub(super) struct Enhancement {
    pub(super) right_heart: Material,
    pub(super) left_heart: Material,
    pub(super) lung_vessels: Material,
    pub(super) myocardium: Material,
    pub(super) liver: Material,
}

impl Enhancement {
    fn new(contrast: bool) -> Self {
        if contrast {
            Self {
                right_heart: Hu(215.0),
                left_heart: Hu(200.0),
                lung_vessels: Hu(205.0),
                myocardium: Hu(95.0),
                liver: Hu(85.0),
            }
        } else {
            Self {
                right_heart: Hu(42.0),
                left_heart: Hu(42.0),
                lung_vessels: Hu(42.0),
                myocardium: Hu(48.0),
                liver: Hu(58.0),
            }
        }
    }
}

pub(super) struct Builder<'a> {
    pub(super) phantom: Phantom,
    pub(super) body: &'a Habitus,
    pub(super) blood: Enhancement,
    /// Frame size: bones and organs scale with it.
    pub(super) s: f32,
}

impl<'a> Builder<'a> {
    pub(super) fn new(body: &'a Habitus, contrast: bool) -> Self {
        let blood = Enhancement::new(contrast);
        Self { phantom: Phantom::default(), body, blood, s: body.frame }
    }

    /// Adds in body size.
    pub(super) fn ball(&mut self, c: [f32; 3], r: [f32; 3], material: Material) {
        let s = self.s;
        self.phantom.add(Shape::ellipsoid(c.map(|v| v * s), r.map(|v| v * s), material));
    }

    pub(super) fn barrel(&mut self, c: [f32; 3], r: [f32; 3], material: Material) {
        let s = self.s;
        self.phantom.add(Shape::barrel(c.map(|v| v * s), r.map(|v| v * s), material));
    }

    pub(super) fn tilted(&mut self, c: [f32; 3], axis: [f32; 3], r: [f32; 3], material: Material) {
        let s = self.s;
        self.phantom.add(Shape::tilted(c.map(|v| v * s), axis, r.map(|v| v * s), material));
    }

    pub(super) fn tube(&mut self, a: [f32; 3], b: [f32; 3], r0: f32, r1: f32, material: Material) {
        let s = self.s;
        let (a, b) = (a.map(|v| v * s), b.map(|v| v * s));
        self.phantom.add(Shape::capsule(a, b, r0 * s, r1 * s, material));
    }

    /// A tube through several points.
    pub(super) fn tubes(&mut self, points: &[([f32; 3], f32)], material: Material) {
        for pair in points.windows(2) {
            if let [(a, r0), (b, r1)] = pair {
                self.tube(*a, *b, *r0, *r1, material);
            }
        }
    }

    /// A foam-filled couch whose hollow holds the back, so far behind the isocentre.
    pub(super) fn table(&mut self, back: f32) {
        let back = back * self.s + 0.75 * self.body.fat;
        let couch = |sink: f32, rx: f32, ry: f32, hu: f32| {
            Shape::ellipsoid([0.0, back - 34.0 + sink, 0.0], [rx, ry, 1e5], Hu(hu))
                .cut([0.0, 1.0, 0.0], back - 12.0)
        };
        self.phantom.add(couch(0.0, 215.0, 58.0, -350.0));
        self.phantom.add(couch(0.0, 211.0, 54.0, -940.0));
    }
}
