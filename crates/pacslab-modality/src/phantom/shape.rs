//! The primitives and how much of a pixel they cover.

/// What a shape consists of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Material {
    /// The same Hounsfield units everywhere.
    Hu(f32),
    /// Aerated lung: denser towards the back, where blood settles, with a fissure.
    Lung,
}

/// One primitive.
#[derive(Clone, PartialEq, Debug)]
pub struct Shape {
    form: Form,
    material: Material,
    low: [f32; 3],
    high: [f32; 3],
    /// Only where `normal . p > distance`.
    cut: Option<([f32; 3], f32)>,
}

#[derive(Clone, PartialEq, Debug)]
enum Form {
    /// Points p with sum |axis_i . (p - center)|^power = 1; the axes are scaled by 1 / radius.
    Round { center: [f32; 3], axes: [[f32; 3]; 3], boxy: bool },
    /// A cone with round ends.
    Capsule { start: [f32; 3], along: [f32; 3], length2: f32, r0: f32, growth: f32, flat: f32 },
}

type Vector = [f32; 3];

/// `powi` does not promise the same bits everywhere.
pub(super) fn square(value: f32) -> f32 {
    value * value
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(a: Vector) -> Vector {
    let length = dot(a, a).sqrt().max(1e-6);
    a.map(|value| value / length)
}

impl Shape {
    pub fn ellipsoid(center: [f32; 3], radii: [f32; 3], material: Material) -> Self {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self::round(center, radii, axes, false, material)
    }

    /// Between an ellipse and a rectangle (power 2.25): trunks and vertebral bodies.
    pub fn barrel(center: [f32; 3], radii: [f32; 3], material: Material) -> Self {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self::round(center, radii, axes, true, material)
    }

    /// An ellipsoid whose first radius lies along `axis`, the second as level as possible.
    pub fn tilted(center: [f32; 3], axis: [f32; 3], radii: [f32; 3], material: Material) -> Self {
        let first = unit(axis);
        let second = match cross([0.0, 0.0, 1.0], first) {
            level if dot(level, level) > 1e-6 => unit(level),
            _ => [0.0, 1.0, 0.0],
        };
        Self::round(center, radii, [first, second, cross(first, second)], false, material)
    }

    fn round(
        center: Vector,
        radii: Vector,
        directions: [Vector; 3],
        boxy: bool,
        material: Material,
    ) -> Self {
        // the box of an ellipsoid: per axis the root of the summed squares; a barrel is wider
        let mut extent = [0.0; 3];
        for (at, extent) in extent.iter_mut().enumerate() {
            let squares: f32 = (0..3).map(|i| square(directions[i][at] * radii[i])).sum();
            *extent = squares.sqrt();
        }
        let axes = [0, 1, 2].map(|i| directions[i].map(|value| value / radii[i]));
        Self {
            form: Form::Round { center, axes, boxy },
            material,
            low: [0, 1, 2].map(|at| center[at] - extent[at]),
            high: [0, 1, 2].map(|at| center[at] + extent[at]),
            cut: None,
        }
    }

    pub fn capsule(start: [f32; 3], end: [f32; 3], r0: f32, r1: f32, material: Material) -> Self {
        let along = [0, 1, 2].map(|at| end[at] - start[at]);
        let length2 = dot(along, along).max(1e-6);
        let radius = r0.max(r1);
        // how much of a thick slice a thin tube can fill: all of it when it stands upright
        let flat = (1.0 - along[2] * along[2] / length2).max(0.0).sqrt();
        Self {
            form: Form::Capsule { start, along, length2, r0, growth: r1 - r0, flat },
            material,
            low: [0, 1, 2].map(|at| start[at].min(end[at]) - radius),
            high: [0, 1, 2].map(|at| start[at].max(end[at]) + radius),
            cut: None,
        }
    }

    /// Keeps only the part where `normal . p > distance`.
    #[must_use]
    pub fn cut(mut self, normal: [f32; 3], distance: f32) -> Self {
        self.cut = Some((normal, distance));
        self
    }

    pub(super) fn bounds(&self) -> (Vector, Vector) {
        (self.low, self.high)
    }

    /// Paints one row of pixels at `y`, `z`.
    pub(super) fn paint(
        &self,
        row: &mut [f32],
        xs: &[f32],
        y: f32,
        z: f32,
        pixel: f32,
        thickness: f32,
    ) {
        match &self.form {
            Form::Round { center, axes, boxy } => {
                let (center, axes, boxy) = (*center, *axes, *boxy);
                // an edge ends where the surface is further away than half its widest spread
                let steepest = axes.iter().map(|axis| dot(*axis, *axis)).fold(0.0, f32::max).sqrt();
                let reach = 0.5 * (blur(1.0, pixel, thickness) + blur(0.0, pixel, thickness));
                let (inner, outer) = ((1.0 - reach * steepest).max(0.0), 1.0 + reach * steepest);
                let (full, none) = (inner * inner * inner.sqrt(), outer * outer * outer.sqrt());
                self.fill(row, xs, [y, z, pixel, thickness], |p| {
                    round_cover(p, center, axes, boxy, [full, none], pixel, thickness)
                });
            }
            Form::Capsule { start, along, length2, r0, growth, flat } => {
                let (start, along, length2) = (*start, *along, *length2);
                let (r0, growth, flat) = (*r0, *growth, *flat);
                self.fill(row, xs, [y, z, pixel, thickness], |p| {
                    let from = [p[0] - start[0], p[1] - start[1], p[2] - start[2]];
                    let t = (dot(from, along) / length2).clamp(0.0, 1.0);
                    let off = [0, 1, 2].map(|at| from[at] - t * along[at]);
                    let radius = r0 + t * growth;
                    let reach = radius + pixel + thickness;
                    let distance2 = dot(off, off);
                    if distance2 > reach * reach {
                        return 0.0;
                    }
                    let distance = distance2.sqrt();
                    let upright = off[2].abs() / distance.max(1e-3);
                    let edge = blur(upright, pixel, thickness);
                    let fill = (2.0 * radius / pixel.max(thickness * flat)).min(1.0);
                    (0.5 + (radius - distance) / edge).clamp(0.0, 1.0) * fill
                });
            }
        }
    }

    /// Lays the material over a row as far as `cover` says.
    fn fill(
        &self,
        row: &mut [f32],
        xs: &[f32],
        [y, z, pixel, thickness]: [f32; 4],
        cover: impl Fn(Vector) -> f32,
    ) {
        for (hu, x) in row.iter_mut().zip(xs) {
            let p = [*x, y, z];
            let mut share = cover(p);
            if share > 0.0
                && let Some((normal, distance)) = self.cut
            {
                share *= (0.5 + (dot(normal, p) - distance) / pixel).clamp(0.0, 1.0);
            }
            if share > 0.0 {
                *hu += share * (self.material.hu(p, pixel, thickness) - *hu);
            }
        }
    }
}

/// Over which distance an edge is spread whose normal has this vertical part.
fn blur(upright: f32, pixel: f32, thickness: f32) -> f32 {
    let level = (1.0 - upright * upright).max(0.0).sqrt();
    1.4 * pixel * level + thickness * upright + 0.2
}

/// The distance to the surface by the first terms of its equation: exact enough within a pixel.
fn round_cover(
    p: Vector,
    center: Vector,
    axes: [Vector; 3],
    boxy: bool,
    [full, none]: [f32; 2],
    pixel: f32,
    thickness: f32,
) -> f32 {
    let from = [p[0] - center[0], p[1] - center[1], p[2] - center[2]];
    let u = axes.map(|axis| dot(axis, from));
    let squares = u.map(|value| value * value);
    // value - 1 is zero on the surface; slopes are its derivatives by u
    let roots = if boxy { [0, 1].map(|at| u[at].abs().sqrt().sqrt()) } else { [1.0; 2] };
    let value = squares[0] * roots[0] + squares[1] * roots[1] + squares[2];
    if value < full {
        return 1.0;
    }
    if value > none {
        return 0.0;
    }
    let power = if boxy { 2.25 } else { 2.0 };
    let slopes = [power * u[0] * roots[0], power * u[1] * roots[1], 2.0 * u[2]];
    let gradient = [0, 1, 2]
        .map(|at| slopes[0] * axes[0][at] + slopes[1] * axes[1][at] + slopes[2] * axes[2][at]);
    let steepness = dot(gradient, gradient).sqrt().max(1e-6);
    let edge = blur((gradient[2] / steepness).abs(), pixel, thickness);
    (0.5 + (1.0 - value) / (steepness * edge)).clamp(0.0, 1.0)
}

impl Material {
    fn hu(self, p: Vector, pixel: f32, thickness: f32) -> f32 {
        match self {
            Self::Hu(hu) => hu,
            Self::Lung => {
                let gravity = 0.28 * p[1];
                // the oblique fissure, from high in the back to low in front
                let (ny, nz) = (-0.64, 0.768);
                let off =
                    (p[1] * ny + (p[2] - 8.0) * nz) / (0.5 * (pixel * 0.64 + thickness * 0.768));
                let fissure = if off.abs() < 1.0 { 70.0 * (1.0 - off.abs()) } else { 0.0 };
                -865.0 + gravity + fissure * 0.6
            }
        }
    }
}
