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

/// So many places are looked at before the tree is.
const SOON: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Place {
    number: u64,
    request: Request,
    stands: Stands,
}

impl Place {
    fn least(&self) -> Least {
        let Request { processors, estimate_ms, .. } = self.request;
        match self.stands {
            Stands::Waits => Least { processors, estimate_ms },
            Stands::Away | Stands::Gone => Least::NOBODY,
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) number: u64,
    /// Its place, unless the line has moved up since.
    place: usize,
}

/// A job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) seat: Seat,
    pub(super) request: Request,
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By number, the order in which they came; those that are gone stay until the places are used up.
    places: Vec<Place>,
    /// So many places there are until those that are gone make room.
    places_max: usize,
    /// The first place at which a job waits, or beyond all.
    head: usize,
    waiting: usize,
    next: u64,
    /// Over all that wait.
    all: Tree,
    /// Over those that wait and may go elsewhere, by their group from 1.
    groups: Vec<Tree>,
    /// Nobody before this place fits into this.
    refused: Option<(Room, usize)>,
}

impl Line {
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn head(&self) -> Option<Waiting> {
        self.at(self.head)
    }

    /// A job, if it waits.
    pub(super) fn find(&self, number: u64) -> Option<Waiting> {
        self.at(self.place(number)?)
    }

    /// Takes a job in behind all others; says its number.
    pub(super) fn push(&mut self, request: Request) -> u64 {
        if self.places.len() == self.places_max {
            self.close_gaps();
        }
        let number = self.next;
        self.next += 1;
        if self.waiting == 0 {
            self.head = self.places.len();
        }
        self.waiting += 1;
        // No tree has this place until somebody searches.
        self.places.push(Place { number, request, stands: Stands::Waits });
        number
    }

    /// A job that waits begins, here or elsewhere.
    pub(super) fn begins(&mut self, job: &Waiting) {
        self.leaves(job.seat.place, Stands::Away);
    }

    /// A job that began here is over.
    pub(super) fn end(&mut self, seat: Seat) {
        // Mostly nobody has moved up meanwhile.
        match self.places.get_mut(seat.place) {
            Some(place) if place.number == seat.number => place.stands = Stands::Gone,
            Some(_) | None => self.leave(seat.number),
        }
    }

    /// A job is over, or withdrawn.
    pub(super) fn leave(&mut self, number: u64) {
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
    pub(super) fn first(&mut self, room: Room) -> Option<Waiting> {
        let refused = self.refused.filter(|(refused, _)| room.is_within(*refused));
        let from = refused.map_or(0, |(_, place)| place).max(self.head);
        let found = self.first_from(from, room);
        self.refused = Some((room, found.unwrap_or(self.places.len())));
        self.at(found?)
    }

    /// The first that waits, fits and may go elsewhere as those of its group may.
    pub(super) fn first_of(&mut self, group: u8, room: Room) -> Option<Waiting> {
        let groups = usize::from(group);
        if self.groups.len() < groups {
            self.groups.resize_with(groups, Tree::default);
        }
        let tree = group_tree(&mut self.groups, group)?;
        let of_group =
            |place: &Place| if place.request.group == group { place.least() } else { Least::NOBODY };
        catch_up(tree, self.places_max, &self.places, of_group);
        let found = tree.first(0, room)?;
        self.at(found)
    }

    /// The first place from one on whose job waits and fits.
    fn first_from(&mut self, from: usize, room: Room) -> Option<usize> {
        let fits = |place: &Place| place.stands == Stands::Waits && room.fits(place.request);
        let soon = self.places.len().min(from + SOON);
        if let Some(near) = self.places[from..soon].iter().position(fits) {
            return Some(from + near);
        }
        if soon == self.places.len() {
            return None;
        }
        catch_up(&mut self.all, self.places_max, &self.places, Place::least);
        self.all.first(soon, room)
    }

    fn at(&self, place: usize) -> Option<Waiting> {
        let Place { number, request, stands } = *self.places.get(place)?;
        (stands == Stands::Waits).then_some(Waiting { seat: Seat { number, place }, request })
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
        self.stands(place, Stands::Waits);
        self.waiting += 1;
        if let Some((_, refused)) = &mut self.refused {
            *refused = place.min(*refused);
        }
        if place < self.head || self.waiting == 1 {
            self.head = place;
        }
    }

    fn leaves(&mut self, place: usize, stands: Stands) {
        self.stands(place, stands);
        self.waiting -= 1;
        if place == self.head {
            let next = if self.waiting == 0 { None } else { self.first_from(place + 1, ANYBODY) };
            self.head = next.unwrap_or(self.places.len());
        }
    }

    fn stands(&mut self, place: usize, stands: Stands) {
        self.places[place].stands = stands;
        let least = self.places[place].least();
        self.all.set(place, least);
        if let Some(tree) = group_tree(&mut self.groups, self.places[place].request.group) {
            tree.set(place, least);
        }
    }

    /// Moves all that are not over to the first places, and makes room for as many again.
    fn close_gaps(&mut self) {
        self.places.retain(|place| place.stands != Stands::Gone);
        self.places_max = (2 * self.places.len()).next_power_of_two().max(16);
        let head = self.places.iter().position(|place| place.stands == Stands::Waits);
        self.head = head.unwrap_or(self.places.len());
        self.refused = None;
        self.all = Tree::default();
        self.groups.fill_with(Tree::default);
    }
}

/// Takes those into a tree that came since it was last searched.
fn catch_up(tree: &mut Tree, places_max: usize, places: &[Place], least: impl Fn(&Place) -> Least) {
    if tree.filled() == places.len() {
        return;
    }
    if tree.places() == 0 {
        *tree = Tree::over(places_max);
    }
    tree.fill(places[tree.filled()..].iter().map(least));
}

fn group_tree(groups: &mut [Tree], group: u8) -> Option<&mut Tree> {
    groups.get_mut(usize::from(group).checked_sub(1)?)
}
