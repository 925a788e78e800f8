//! Anatomy in patient space: an ordered list of shapes in millimetres, later ones over earlier.
//!
//! Axes as in DICOM: +x to the patient's left, +y to the back, +z to the head. A slice is painted
//! shape by shape inside each one's bounding box; every shape covers a pixel by the share that
//! its edge leaves, so that edges are soft in the plane and, for thick slices, across it.

mod bones;
mod builder;
pub mod chest;
mod habitus;
pub mod head;
mod shape;
mod vessels;

pub use habitus::Habitus;
pub use shape::{Material, Shape};

/// The pixels of an axial slice: a square around the isocentre.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Grid {
    matrix: usize,
    spacing: f32,
}

impl Grid {
    pub fn covering(matrix: usize, side_mm: f32) -> Self {
        Self { matrix, spacing: side_mm / matrix as f32 }
    }

    pub fn matrix(&self) -> usize {
        self.matrix
    }

    pub fn spacing_mm(&self) -> f64 {
        f64::from(self.spacing)
    }

    pub fn side_mm(&self) -> f64 {
        self.spacing_mm() * self.matrix as f64
    }

    /// The centre of the first pixel, the same in x and y.
    pub fn first_mm(&self) -> f64 {
        -self.spacing_mm() * (self.matrix as f64 - 1.0) / 2.0
    }

    fn center(&self, index: usize) -> f32 {
        (index as f32 - (self.matrix as f32 - 1.0) / 2.0) * self.spacing
    }

    /// The pixels whose centres may lie between `low` and `high`.
    fn indices(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        let index = |mm: f32| mm / self.spacing + (self.matrix as f32 - 1.0) / 2.0;
        let first = index(low).floor().clamp(0.0, self.matrix as f32) as usize;
        let last = (index(high).ceil() + 1.0).clamp(0.0, self.matrix as f32) as usize;
        first..last.max(first)
    }
}

/// Shapes in the order they are painted.
#[derive(Clone, Debug, Default)]
pub struct Phantom {
    shapes: Vec<Shape>,
}

/// Hounsfield units of what is nothing.
const AIR: f32 = -1000.0;

impl Phantom {
    pub(crate) fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// The attenuation in an axial slice of this thickness, row by row.
    pub fn slice(&self, grid: &Grid, z: f32, thickness: f32) -> Vec<f32> {
        let n = grid.matrix;
        let mut hu = vec![AIR; n * n];
        let xs: Vec<f32> = (0..n).map(|x| grid.center(x)).collect();
        for shape in &self.shapes {
            let (low, high) = shape.bounds();
            if z + thickness < low[2] || z - thickness > high[2] {
                continue;
            }
            let columns = grid.indices(low[0] - grid.spacing, high[0] + grid.spacing);
            for y in grid.indices(low[1] - grid.spacing, high[1] + grid.spacing) {
                let row = &mut hu[y * n..][columns.clone()];
                shape.paint(row, &xs[columns.clone()], xs[y], z, grid.spacing, thickness);
            }
        }
        hu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sphere_is_where_it_is_said_to_be() {
        let mut phantom = Phantom::default();
        phantom.add(Shape::ellipsoid([20.0, -10.0, 5.0], [15.0; 3], Material::Hu(50.0)));
        let grid = Grid::covering(64, 128.0);
        let at = |hu: &[f32], x: f32, y: f32| {
            let index = |mm: f32| ((mm - grid.first_mm() as f32) / 2.0).round() as usize;
            hu[index(y) * 64 + index(x)]
        };
        let middle = phantom.slice(&grid, 5.0, 1.0);
        assert_eq!((at(&middle, 20.0, -10.0), at(&middle, -20.0, -10.0)), (50.0, AIR));
        let area = middle.iter().map(|hu| (hu + 1000.0) / 1050.0).sum::<f32>() * 4.0;
        let disc = std::f32::consts::PI * 15.0 * 15.0;
        assert!((area / disc - 1.0).abs() < 0.02, "{area} {disc}");
        assert!(phantom.slice(&grid, 25.0, 1.0).iter().all(|hu| *hu == AIR));
    }
}
