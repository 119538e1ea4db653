// SPDX-License-Identifier: Apache-2.0
//! The most harm by the theories that are left, with those that speak of the same factors taken together.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use crate::{
    columns::Columns,
    features::Features,
    sum::{larger, largest},
};

/// How many groups are looked at side by side.
const LANES: usize = 8;

/// Theories that stand beside each other and have the same factors in their first clause, as one group: where
/// the factors hold, the most harm by any of them that is left, and elsewhere the same. The family's 2,685
/// theories make 299 groups.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Live {
    masks: Vec<u32>,
    levels: Vec<f64>,
    backgrounds: Vec<f64>,
    members: Members,
}

/// The theories behind the groups; one that left counts as if it spoke of no harm.
#[derive(Debug, Clone, PartialEq)]
struct Members {
    levels: Vec<f64>,
    backgrounds: Vec<f64>,
    /// The group of each theory.
    groups: Vec<usize>,
    /// The theories of each group.
    ranges: Vec<Range<usize>>,
}

impl Live {
    /// The groups of all theories, all of them left.
    pub(crate) fn of(columns: &Columns) -> Self {
        let (mut masks, mut groups, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for group in columns.masks().chunk_by(|left, right| left == right) {
            let start = groups.len();
            groups.resize(start + group.len(), masks.len());
            ranges.push(start..groups.len());
            masks.push(group[0]);
        }
        let count = masks.len();
        let (levels, backgrounds) = (columns.levels().to_vec(), columns.backgrounds().to_vec());
        let members = Members { levels, backgrounds, groups, ranges };
        let mut live = Self { masks, levels: vec![0.0; count], backgrounds: vec![0.0; count], members };
        (0..count).for_each(|group| live.look_again(group));
        live
    }

    /// Takes note that a theory left.
    pub(crate) fn leave(&mut self, index: usize) {
        self.members.levels[index] = 0.0;
        self.members.backgrounds[index] = 0.0;
        self.look_again(self.members.groups[index]);
    }

    fn look_again(&mut self, group: usize) {
        let range = self.members.ranges[group].clone();
        self.levels[group] = largest(self.members.levels[range.clone()].iter().copied());
        self.backgrounds[group] = largest(self.members.backgrounds[range].iter().copied());
    }

    /// The most harm at x by the first clause of a theory that is left; 0 where none is.
    pub(crate) fn most_harm(&self, x: Features) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let chunks =
            self.masks.chunks(LANES).zip(self.levels.chunks(LANES)).zip(self.backgrounds.chunks(LANES));
        for ((masks, levels), backgrounds) in chunks {
            let rows = masks.iter().zip(levels).zip(backgrounds);
            for (lane, ((mask, level), background)) in lanes.iter_mut().zip(rows) {
                *lane = larger(*lane, if x.bits() & mask == *mask { *level } else { *background });
            }
        }
        lanes.into_iter().fold(0.0, larger)
    }
}
