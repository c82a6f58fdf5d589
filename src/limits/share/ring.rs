//! Who waits, and whose turn is next: deficit round-robin over the principals that have requests waiting.
//!
//! Pure bookkeeping, without time and tokens. A principal that has nothing waiting has no state here.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::task::Waker;

use crate::limits::bucket::{AsItIs, Subject};

/// What a principal may spend on each round: the cost of an ordinary request.
const QUANTUM: u32 = 1;
/// Over how much that was granted a principal's pace is taken: short enough to forget who has gone.
const PACE_WINDOW: u64 = 256;
/// How much a principal must have been granted before its pace is believed.
const PACE_LEAST: u64 = 8;

/// One request that waits, or has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) principal: Subject,
    /// Numbers rise in the order of arrival.
    number: u64,
}

/// What is known of a request that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) cost: u32,
    /// Whom to wake when its turn comes; absent until it is first polled.
    pub(super) waker: Option<Waker>,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Ring {
    queues: HashMap<Subject, Queue, BuildHasherDefault<AsItIs>>,
    /// The principals in the order of their turns.
    turns: BTreeMap<u64, Subject>,
    /// What all that wait cost together.
    cost: u64,
    /// What all cost together that were granted.
    granted: u64,
    /// The last number that was given to a request or to a turn.
    last_number: u64,
}

/// What one principal has waiting; never empty.
#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<u64, Waiter>,
    turn: u64,
    /// What it may spend before its turn ends.
    deficit: u32,
    cost: u64,
    /// What it was granted since `since`.
    granted: u64,
    /// What [`Ring::granted`] was when its pace began to be taken.
    since: u64,
}

impl Ring {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How much will be granted before a request of this principal's and cost, were it to wait from now on.
    ///
    /// At most all that waits, or what as many rounds as it needs grant to all principals. The second is more than is
    /// true where others have less waiting than it has; then the first is right as long as all can be served in time.
    /// But others will come whose requests never wait for long. So it is not less than what the principal's pace tells.
    pub(super) fn ahead(&self, principal: Subject, cost: u32) -> u64 {
        let own = self.queues.get(&principal);
        let principals = u64::try_from(self.queues.len()).unwrap_or(u64::MAX).saturating_add(own.is_none().into());
        let rounds = own.map_or(0, |queue| queue.cost).saturating_add(cost.into());
        let known = self.cost.min(rounds.saturating_mul(principals).saturating_sub(cost.into()));
        known.max(own.map_or(0, |queue| queue.to_come(self.granted)))
    }

    /// Puts a request behind the others of its principal. A principal that had none waiting has its turn last.
    pub(super) fn push(&mut self, principal: Subject, cost: u32) -> Place {
        let number = self.number();
        let queue = self.queues.entry(principal).or_insert_with(|| {
            self.turns.insert(number, principal);
            Queue { waiting: BTreeMap::new(), turn: number, deficit: 0, cost: 0, granted: 0, since: self.granted }
        });
        queue.waiting.insert(number, Waiter { cost, waker: None });
        queue.cost += u64::from(cost);
        self.cost += u64::from(cost);
        Place { principal, number }
    }

    /// The request of that place, if it waits still.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Waiter> {
        self.queues.get_mut(&place.principal)?.waiting.get_mut(&place.number)
    }

    /// Takes a request out, wherever it stands.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waiter> {
        let queue = self.queues.get_mut(&place.principal)?;
        let waiter = queue.waiting.remove(&place.number)?;
        queue.cost = queue.cost.saturating_sub(waiter.cost.into());
        self.cost = self.cost.saturating_sub(waiter.cost.into());
        if queue.waiting.is_empty() {
            self.turns.remove(&queue.turn);
            self.queues.remove(&place.principal);
        }
        Some(waiter)
    }

    /// Takes out the request whose turn is next.
    pub(super) fn next(&mut self) -> Option<Waiter> {
        loop {
            let principal = *self.turns.first_key_value()?.1;
            let queue = self.queues.get_mut(&principal)?;
            let (&number, head) = queue.waiting.first_key_value()?;
            if queue.deficit < head.cost {
                // Its turn begins. What it cannot spend now it keeps for the next round.
                queue.deficit = queue.deficit.saturating_add(QUANTUM);
            }
            let affordable = queue.deficit >= head.cost;
            if affordable {
                queue.deficit -= head.cost;
                self.granted += u64::from(head.cost);
                queue.note(u64::from(head.cost), self.granted);
            }
            let place = Place { principal, number };
            let granted = if affordable { self.remove(place) } else { None };
            self.end_turn(principal);
            if granted.is_some() {
                return granted;
            }
        }
    }

    /// The request that is, as things stand, among the last to be granted.
    pub(super) fn last(&self) -> Option<Place> {
        let principal = *self.turns.last_key_value()?.1;
        let number = *self.queues.get(&principal)?.waiting.last_key_value()?.0;
        Some(Place { principal, number })
    }

    /// Puts a principal behind the others, unless it has nothing waiting or can still afford its next request.
    fn end_turn(&mut self, principal: Subject) {
        let number = self.number();
        let Some(queue) = self.queues.get_mut(&principal) else { return };
        if queue.waiting.first_key_value().is_some_and(|(_, head)| queue.deficit >= head.cost) {
            return;
        }
        self.turns.remove(&queue.turn);
        queue.turn = number;
        self.turns.insert(number, principal);
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Queue {
    /// Notes what it was granted, of `all` that were.
    fn note(&mut self, cost: u64, all: u64) {
        self.granted += cost;
        let window = all.saturating_sub(self.since);
        if window > PACE_WINDOW {
            self.granted /= 2;
            self.since += window / 2;
        }
    }

    /// What will be granted to all, of whom `all` was granted up to now, until all its own are: at the pace of before.
    fn to_come(&self, all: u64) -> u64 {
        if self.granted < PACE_LEAST {
            return 0;
        }
        self.cost.saturating_mul(all.saturating_sub(self.since)) / self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes requests, named by their principal's letter; one in upper case costs 2.
    fn ring(requests: &str) -> Ring {
        let mut ring = Ring::default();
        for letter in requests.chars() {
            push(&mut ring, letter);
        }
        ring
    }

    fn push(ring: &mut Ring, letter: char) -> Place {
        ring.push(subject(letter), 1 + u32::from(letter.is_uppercase()))
    }

    fn subject(letter: char) -> Subject {
        Subject::of(&letter.to_ascii_lowercase().to_string())
    }

    /// The principal of the next request that is granted.
    fn next(ring: &mut Ring) -> Option<char> {
        let waiting =
            |ring: &Ring| ('a'..='z').map(|l| ring.queues.get(&subject(l)).map_or(0, |q| q.waiting.len())).collect();
        let before: Vec<usize> = waiting(ring);
        ring.next()?;
        let after: Vec<usize> = waiting(ring);
        ('a'..='z').zip(before.iter().zip(after)).find(|(_, (before, after))| *before > after).map(|(letter, _)| letter)
    }

    fn order(ring: &mut Ring) -> String {
        std::iter::from_fn(|| next(ring)).collect()
    }

    fn is_clean(ring: &Ring) -> bool {
        ring.queues.is_empty() && ring.turns.is_empty() && ring.cost == 0 && ring.last().is_none()
    }

    #[test]
    fn principals_take_turns_whatever_each_has_waiting() {
        for (requests, granted) in [("", ""), ("aaa", "aaa"), ("aaaabbc", "abcabaa"), ("abcabc", "abcabc")] {
            let mut ring = ring(requests);
            assert_eq!(order(&mut ring), granted, "{requests}");
            assert!(is_clean(&ring));
        }
    }

    #[test]
    fn what_costs_two_takes_two_rounds() {
        for (requests, granted) in [("AAbbbb", "bAbbAb"), ("AAA", "AAA"), ("aAab", "abAa"), ("ABAB", "ABAB")] {
            assert_eq!(order(&mut ring(requests)), granted.to_ascii_lowercase(), "{requests}");
        }
    }

    #[test]
    fn a_newcomer_waits_for_one_request_of_each_other_however_many_they_have_waiting() {
        let mut ring = ring(&"ab".repeat(5_000));
        assert_eq!(next(&mut ring), Some('a'));
        push(&mut ring, 'c');
        assert_eq!([next(&mut ring), next(&mut ring), next(&mut ring)], [Some('b'), Some('a'), Some('c')]);
    }

    #[test]
    fn who_leaves_is_passed_over_and_the_last_of_a_principal_takes_its_turn_along() {
        let mut ring = ring("a");
        let places = ['b', 'a', 'b', 'c'].map(|letter| push(&mut ring, letter));
        assert!(ring.remove(places[0]).is_some());
        assert!(ring.remove(places[0]).is_none());
        assert!(ring.remove(places[2]).is_some());
        assert_eq!(ring.queues.len(), 2);
        assert!(ring.get_mut(places[1]).is_some());
        assert_eq!(order(&mut ring), "aca");
        assert!(ring.get_mut(places[1]).is_none());
        assert!(is_clean(&ring));
    }

    #[test]
    fn what_is_ahead_is_all_that_waits_or_as_many_rounds_as_it_needs() {
        let ahead = |requests: &str, letter| ring(requests).ahead(subject(letter), 1);
        assert_eq!(ahead("", 'a'), 0);
        assert_eq!(ahead("aaa", 'a'), 3);
        assert_eq!(ahead("aaaaaa", 'b'), 1, "one of a's");
        assert_eq!(ahead("aaaaaabbb", 'c'), 2, "one of a's, one of b's");
        assert_eq!(ahead("aaaaaab", 'b'), 3, "two of a's, one of its own");
        assert_eq!(ring("AAA").ahead(subject('b'), 2), 2, "a spends as much as b does in two rounds");
    }

    #[test]
    fn what_is_ahead_takes_account_of_those_who_come_and_go() {
        let mut ring = ring(&"a".repeat(60));
        let ahead = |ring: &Ring| ring.ahead(subject('a'), 1);
        for granted in 0..20 {
            // Each other one goes to somebody who was not there before.
            if granted % 2 == 0 {
                push(&mut ring, 'b');
            }
            ring.next();
        }
        assert_eq!((ring.cost, ahead(&ring)), (50, 100));
        for _ in 0..40 {
            ring.next();
        }
        assert_eq!((ring.cost, ahead(&ring)), (10, 12), "b has gone, and is forgotten little by little");
    }

    #[test]
    fn the_pace_is_that_of_late() {
        let mut queue = Queue { waiting: BTreeMap::new(), turn: 0, deficit: 0, cost: 10, granted: 0, since: 0 };
        (1..=1_000).for_each(|all| queue.note(u64::from(all % 4 == 0), all));
        let slow = queue.to_come(1_000);
        assert!((38..=42).contains(&slow), "{slow}");
        (1_001..=2_000).for_each(|all| queue.note(1, all));
        let fast = queue.to_come(2_000);
        assert!((10..=11).contains(&fast), "{fast}");
    }

    #[test]
    fn the_last_is_granted_last() {
        let mut ring = ring("aabb");
        let last = ring.last().unwrap();
        assert_eq!(last.principal, subject('b'));
        for _ in 0..3 {
            ring.next();
            assert!(ring.get_mut(last).is_some());
        }
    }
}
