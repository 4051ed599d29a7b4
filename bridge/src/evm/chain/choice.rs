//! Which of a chain's nodes is asked. The time is an argument, and nothing is asked here.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that a node is left aside before it is tried again, unless it asked for longer.
const LONGEST_ASIDE: Duration = Duration::from_secs(60);

/// So long nobody is asked who said what is not true: that its blocks are right says nothing about the rest.
const AFTER_LIE: Duration = Duration::from_secs(3_600);

/// What is wrong with a node that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is behind, or slow.
    Trouble,
    /// Most others have other blocks.
    Disagreement,
    /// Most others deny what it says about a transaction.
    Lie,
}

/// What is known of one node.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// It said since its last trouble that it serves the right chain.
    is_checked: bool,
    /// Until when it is not asked, nor tried.
    aside: Option<Instant>,
    /// It said what the others deny: it is not even asked when nobody else answers, until it agrees with them.
    is_barred: bool,
    /// It is being tried.
    is_tried: bool,
    /// Troubles in a row.
    failures: u32,
    /// A height that others had reached, and when it was found not to have.
    behind: Option<(u64, Instant)>,
    /// Since when others know nothing of what it says happened.
    doubted: Option<Instant>,
}

/// The nodes in the order of preference, by index.
#[derive(Debug)]
pub(super) struct Choice {
    nodes: Vec<Node>,
    /// How long a node is left aside after its first trouble; twice as long after each further one.
    pause: Duration,
}

impl Choice {
    pub(super) fn new(count: usize, pause: Duration) -> Self {
        Self { nodes: vec![Node::default(); count], pause }
    }

    /// Those that have no trouble.
    pub(super) fn usable(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].aside.is_none()).collect()
    }

    /// Whom to ask, one after another until one answers: those without trouble; where there are none, the one whose trouble is to be
    /// over first, so that each gets its turn.
    pub(super) fn order(&self) -> Vec<usize> {
        let usable = self.usable();
        if !usable.is_empty() {
            return usable;
        }
        let others = (0..self.nodes.len()).filter(|index| !self.nodes[*index].is_barred);
        others.min_by_key(|index| self.nodes[*index].aside).into_iter().collect()
    }

    pub(super) fn is_aside(&self, index: usize) -> bool {
        self.nodes[index].aside.is_some()
    }

    pub(super) fn is_checked(&self, index: usize) -> bool {
        self.nodes[index].is_checked
    }

    pub(super) fn set_checked(&mut self, index: usize, is_checked: bool) {
        self.nodes[index].is_checked = is_checked;
    }

    /// Leaves a node aside, for as long as it asked for at least. True when it was not before.
    pub(super) fn set_aside(&mut self, index: usize, now: Instant, asked: Option<Duration>) -> bool {
        let pause = self.pause;
        let node = &mut self.nodes[index];
        // Calls that were on their way together fail together, which is one trouble.
        let is_counted = node.aside.is_none_or(|until| until <= now);
        if is_counted {
            node.failures = node.failures.saturating_add(1);
        }
        let longer = pause.saturating_mul(1 << (node.failures.saturating_sub(1)).min(16)).min(LONGEST_ASIDE);
        let until = now + if is_counted { longer } else { Duration::ZERO }.max(asked.unwrap_or_default());
        let was_aside = node.aside.is_some();
        node.aside = Some(node.aside.map_or(until, |before| before.max(until)));
        (node.is_checked, node.is_tried, node.behind) = (false, false, None);
        !was_aside
    }

    /// The same for one that answers, but not as it should.
    pub(super) fn blame(&mut self, index: usize, now: Instant, fault: Fault) -> bool {
        if fault != Fault::Trouble {
            (self.nodes[index].is_barred, self.nodes[index].doubted) = (true, None);
        }
        self.set_aside(index, now, (fault == Fault::Lie).then_some(AFTER_LIE))
    }

    /// A node whose time is over, to be tried; once.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        let due = |node: &Node| !node.is_tried && node.aside.is_some_and(|until| until <= now);
        let index = self.nodes.iter().position(due)?;
        self.nodes[index].is_tried = true;
        Some(index)
    }

    /// It answers as it should. True when it had been left aside.
    pub(super) fn put_back(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        let doubted = node.doubted;
        let was_aside = node.aside.is_some();
        if was_aside {
            *node = Node { is_checked: node.is_checked, doubted, ..Node::default() };
        }
        was_aside
    }

    /// Whether a node that is at block `own` failed for so long to reach what others had reached; `others`: the lowest block of those
    /// that are ahead of it, if enough are.
    pub(super) fn lags(&mut self, index: usize, own: u64, others: Option<u64>, now: Instant, long: Duration) -> bool {
        let behind = &mut self.nodes[index].behind;
        if behind.is_some_and(|(height, _)| own >= height) {
            *behind = None;
        }
        if let (None, Some(height)) = (*behind, others) {
            *behind = Some((height, now));
        }
        behind.is_some_and(|(_, since)| now.saturating_duration_since(since) >= long)
    }

    /// Whether others have known nothing for so long of what this node says happened.
    pub(super) fn contradicted(&mut self, index: usize, now: Instant, long: Duration) -> bool {
        let since = *self.nodes[index].doubted.get_or_insert(now);
        now.saturating_duration_since(since) >= long
    }

    /// Another node says the same.
    pub(super) fn confirmed(&mut self, index: usize) {
        self.nodes[index].doubted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_preferred_and_the_next_one_takes_its_place() {
        let (mut choice, now) = (Choice::new(3, PAUSE), Instant::now());
        assert_eq!(choice.order(), [0, 1, 2]);
        choice.set_checked(0, true);
        assert!(choice.set_aside(0, now, None));
        assert!(!choice.set_aside(0, now, None), "it is said once");
        assert_eq!(choice.order(), [1, 2]);
        assert!(!choice.is_checked(0), "it may serve another chain when it comes back");
        assert!(choice.put_back(0) && !choice.put_back(0));
        assert_eq!(choice.order(), [0, 1, 2]);
    }

    #[test]
    fn the_preferred_one_is_tried_again_ever_less_often() {
        let (mut choice, mut now) = (Choice::new(2, PAUSE), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            choice.set_aside(0, now, None);
            let mut waited = 0;
            while choice.take_due(now).is_none() {
                now += secs(1);
                waited += 1;
            }
            assert_eq!(choice.take_due(now), None, "one try at a time");
            assert_eq!(choice.order(), [1], "it is not asked while it is tried");
            pauses.push(waited);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        choice.put_back(0);
        choice.set_aside(0, now, None);
        assert_eq!(choice.take_due(now + secs(1)), Some(0), "what is past is forgotten");
    }

    #[test]
    fn calls_that_fail_together_are_one_trouble() {
        let (mut choice, now) = (Choice::new(2, PAUSE), Instant::now());
        assert_eq!((0..10).filter(|_| choice.set_aside(0, now, None)).count(), 1);
        assert_eq!(choice.take_due(now + secs(1)), Some(0));
    }

    #[test]
    fn what_a_node_asks_for_holds_for_it_alone() {
        let (mut choice, now) = (Choice::new(2, PAUSE), Instant::now());
        choice.set_aside(0, now, Some(secs(100)));
        // Another call, which was on its way, knows nothing of it.
        choice.set_aside(0, now, None);
        assert_eq!((choice.order(), choice.take_due(now + secs(99))), (vec![1], None));
        choice.set_aside(1, now, None);
        assert_eq!(choice.order(), [1], "the one whose trouble is over first");
        assert_eq!(choice.take_due(now + secs(1)), Some(1));
        assert_eq!(choice.take_due(now + secs(100)), Some(0));
    }

    #[test]
    fn when_all_are_in_trouble_each_gets_its_turn() {
        let (mut choice, now) = (Choice::new(2, PAUSE), Instant::now());
        choice.set_aside(0, now, None);
        choice.set_aside(1, now, None);
        let mut asked = Vec::new();
        for second in 1..=4 {
            let index = choice.order()[0];
            asked.push(index);
            choice.set_aside(index, now + secs(100 * second), None);
        }
        assert_eq!(asked, [0, 1, 0, 1]);
    }

    #[test]
    fn who_says_what_the_others_deny_is_not_asked_when_they_are_away() {
        let (mut choice, now) = (Choice::new(3, PAUSE), Instant::now());
        assert!(choice.blame(0, now, Fault::Disagreement));
        choice.set_aside(1, now + secs(10), None);
        choice.set_aside(2, now + secs(20), None);
        assert_eq!(choice.order(), [1]);
        choice.put_back(0);
        assert_eq!(choice.order(), [0], "unless it agreed with them meanwhile");
    }

    #[test]
    fn who_lied_is_not_asked_for_long() {
        let (mut choice, now) = (Choice::new(2, PAUSE), Instant::now());
        choice.blame(0, now, Fault::Lie);
        assert_eq!(choice.take_due(now + AFTER_LIE - secs(1)), None);
        assert_eq!(choice.take_due(now + AFTER_LIE), Some(0));
        choice.blame(1, now, Fault::Trouble);
        assert_eq!(choice.take_due(now + secs(1)), Some(1));
    }

    #[test]
    fn a_node_lags_when_it_does_not_reach_for_long_what_others_had_reached() {
        let (mut choice, now) = (Choice::new(2, PAUSE), Instant::now());
        let mut lags = |own, others, after| choice.lags(0, own, others, now + secs(after), secs(10));
        assert!(!lags(5, Some(6), 0));
        assert!(!lags(6, Some(7), 9), "it follows");
        assert!(!lags(6, Some(9), 18));
        assert!(lags(6, Some(10), 19), "it stays behind");
        assert!(!lags(7, None, 20), "it went on");
    }

    #[test]
    fn what_nobody_else_knows_is_doubted_after_a_while() {
        let (mut choice, now) = (Choice::new(3, PAUSE), Instant::now());
        assert!(!choice.contradicted(0, now, secs(10)));
        choice.confirmed(0);
        assert!(!choice.contradicted(0, now + secs(10), secs(10)), "the others were behind");
        assert!(choice.contradicted(0, now + secs(20), secs(10)));
    }
}
