//! Vessel trees that reach every part of an organ.

use crate::random::Random;

use super::shape::square;
use super::{Material, Phantom, Shape};

/// Grows a tree from `start` to all `targets`: the trunk goes part of the way to their middle,
/// then they part along the direction in which they are spread most, and so on.
pub(super) fn grow(
    phantom: &mut Phantom,
    random: &mut Random,
    start: [f32; 3],
    radius: f32,
    targets: &mut [[f32; 3]],
    material: Material,
) {
    match targets {
        [] => {}
        [end] => {
            let tip = (radius * 0.6).max(0.5);
            phantom.add(Shape::capsule(start, *end, radius, tip, material));
        }
        _ => {
            let count = targets.len() as f32;
            let middle =
                [0, 1, 2].map(|at| targets.iter().map(|target| target[at]).sum::<f32>() / count);
            let share = random.between(0.32, 0.5);
            let fork =
                [0, 1, 2].map(|at| start[at] + share * (middle[at] - start[at]) + random.normal());
            let next = (radius * 0.8).max(0.7);
            phantom.add(Shape::capsule(start, fork, radius, next, material));
            let spread = |at: usize| {
                targets.iter().map(|target| square(target[at] - middle[at])).sum::<f32>()
            };
            let widest = (0..3).max_by(|a, b| spread(*a).total_cmp(&spread(*b))).unwrap_or(0);
            targets.sort_by(|a, b| a[widest].total_cmp(&b[widest]));
            let (one, other) = targets.split_at_mut(targets.len() / 2);
            grow(phantom, random, fork, next, one, material);
            grow(phantom, random, fork, next, other, material);
        }
    }
}
