// SPDX-License-Identifier: Apache-2.0
//! The line in which the jobs of a site stand: who waits, in the order in which they came. A job keeps its place until it is over, so
//! that one which has to stop goes on waiting where it stood.

use super::{
    Request,
    tree::{Least, Room, Tree},
};

/// Where a job of the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It waits.
    Waits,
    /// It runs, here or elsewhere, and its place is kept.
    Away,
    /// It is over.
    Gone,
}

/// Whoever waits fits into this.
const ANYBODY: Room = Room { free: u32::MAX - 1, spare: u32::MAX - 1, until_head_ms: u64::MAX };

/// So many places behind the head are looked at before the tree is.
const SOON: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Place {
    number: u64,
    request: Request,
    stands: Stands,
}

/// A job at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) request: Request,
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By number, the order in which they came; those that are gone stay until the places are used up.
    places: Vec<Place>,
    /// The first place at which a job waits, or beyond all.
    head: usize,
    waiting: usize,
    next: u64,
    /// Over all that wait.
    all: Tree,
    /// Over those that wait and may go elsewhere, by their group from 1.
    groups: Vec<Tree>,
}

impl Line {
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn head(&self) -> Option<Waiting> {
        let place = self.places.get(self.head)?;
        (place.stands == Stands::Waits).then_some(Waiting { number: place.number, request: place.request })
    }

    /// Takes a job in behind all others; says its number.
    pub(super) fn push(&mut self, request: Request) -> u64 {
        if self.places.len() == self.all.places() {
            self.close_gaps();
        }
        let number = self.next;
        self.next += 1;
        self.places.push(Place { number, request, stands: Stands::Away });
        self.waits(self.places.len() - 1);
        number
    }

    /// A job begins, here or elsewhere.
    pub(super) fn take(&mut self, number: u64) -> Option<Request> {
        let place = self.place(number)?;
        if self.places[place].stands != Stands::Waits {
            return None;
        }
        self.leaves(place, Stands::Away);
        Some(self.places[place].request)
    }

    /// A job is over.
    pub(super) fn end(&mut self, number: u64) {
        if let Some(place) = self.place(number) {
            match self.places[place].stands {
                Stands::Waits => self.leaves(place, Stands::Gone),
                Stands::Away => self.places[place].stands = Stands::Gone,
                Stands::Gone => {}
            }
        }
    }

    /// A job that had begun waits again, where it stood.
    pub(super) fn come_back(&mut self, number: u64, estimate_ms: u64) {
        if let Some(place) = self.place(number)
            && self.places[place].stands == Stands::Away
        {
            self.places[place].request.estimate_ms = estimate_ms;
            self.waits(place);
        }
    }

    /// A job that waits, or comes back, may go nowhere else any more.
    pub(super) fn stay(&mut self, number: u64) {
        let Some(place) = self.place(number) else { return };
        let group = std::mem::take(&mut self.places[place].request.group);
        if let Some(tree) = group_tree(&mut self.groups, group) {
            tree.set(place, Least::NOBODY);
        }
    }

    /// The first that waits and fits.
    pub(super) fn first(&self, room: Room) -> Option<Waiting> {
        self.all.first(room).map(|place| self.at(place))
    }

    /// The first that waits, fits and may go elsewhere as those of its group may.
    pub(super) fn first_of(&self, group: u8, room: Room) -> Option<Waiting> {
        let tree = self.groups.get(usize::from(group).checked_sub(1)?)?;
        tree.first(room).map(|place| self.at(place))
    }

    fn at(&self, place: usize) -> Waiting {
        Waiting { number: self.places[place].number, request: self.places[place].request }
    }

    fn place(&self, number: u64) -> Option<usize> {
        // Mostly nobody is gone between the first and this one, and the guess is right.
        let guess = usize::try_from(number - self.places.first()?.number.min(number)).ok()?;
        if self.places.get(guess).is_some_and(|place| place.number == number) {
            return Some(guess);
        }
        self.places.binary_search_by_key(&number, |place| place.number).ok()
    }

    fn waits(&mut self, place: usize) {
        let Request { processors, estimate_ms, group, .. } = self.places[place].request;
        let least = Least { processors, estimate_ms };
        self.places[place].stands = Stands::Waits;
        self.waiting += 1;
        self.all.set(place, least);
        let places = self.all.places();
        while self.groups.len() < usize::from(group) {
            self.groups.push(Tree::over(places));
        }
        if let Some(tree) = group_tree(&mut self.groups, group) {
            tree.set(place, least);
        }
        if place < self.head || self.waiting == 1 {
            self.head = place;
        }
    }

    fn leaves(&mut self, place: usize, stands: Stands) {
        self.places[place].stands = stands;
        self.waiting -= 1;
        self.all.set(place, Least::NOBODY);
        if let Some(tree) = group_tree(&mut self.groups, self.places[place].request.group) {
            tree.set(place, Least::NOBODY);
        }
        if place == self.head {
            // Mostly the next one waits, or one soon after it.
            let mut soon = (place + 1..self.places.len()).take(SOON);
            let near = soon.find(|next| self.places[*next].stands == Stands::Waits);
            self.head = near.or_else(|| self.all.first(ANYBODY)).unwrap_or(self.places.len());
        }
    }

    /// Moves all that are not over to the first places, in trees that have room for as many again.
    fn close_gaps(&mut self) {
        self.places.retain(|place| place.stands != Stands::Gone);
        let places = (2 * self.places.len()).next_power_of_two().max(16);
        self.all = Tree::over(places);
        for tree in &mut self.groups {
            *tree = Tree::over(places);
        }
        (self.head, self.waiting) = (self.places.len(), 0);
        for place in 0..self.places.len() {
            if self.places[place].stands == Stands::Waits {
                self.waits(place);
            }
        }
    }
}

fn group_tree(groups: &mut [Tree], group: u8) -> Option<&mut Tree> {
    groups.get_mut(usize::from(group).checked_sub(1)?)
}
