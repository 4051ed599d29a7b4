//! When to look at which job again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::JobId;

/// At most one moment (a time, or a block's number) for each job: whoever looks at a job finds out anew when to look next. So
/// there are never more of them than jobs, however far away they lie.
#[derive(Clone, Debug)]
pub(super) struct Wakes<T> {
    moments: BTreeSet<(T, JobId)>,
    of: BTreeMap<JobId, T>,
}

impl<T> Default for Wakes<T> {
    fn default() -> Self {
        Self { moments: BTreeSet::new(), of: BTreeMap::new() }
    }
}

impl<T: Copy + Ord> Wakes<T> {
    /// Looks at the job at this moment, and at no other; `None`: at none.
    pub(super) fn set(&mut self, job: JobId, moment: Option<T>) {
        let before = match moment {
            Some(moment) => self.of.insert(job, moment),
            None => self.of.remove(&job),
        };
        if before == moment {
            return;
        }
        if let Some(before) = before {
            self.moments.remove(&(before, job));
        }
        if let Some(moment) = moment {
            self.moments.insert((moment, job));
        }
    }

    /// The earliest moment.
    pub(super) fn next(&self) -> Option<T> {
        self.moments.first().map(|(moment, _)| *moment)
    }

    /// A job to look at now, which is forgotten.
    pub(super) fn due(&mut self, now: T) -> Option<JobId> {
        let &(moment, job) = self.moments.first()?;
        if moment > now {
            return None;
        }
        self.set(job, None);
        Some(job)
    }

    /// Whether the job is to be looked at.
    pub(super) fn contains(&self, job: JobId) -> bool {
        self.of.contains_key(&job)
    }

    /// How many jobs are to be looked at.
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.moments.len(), self.of.len());
        self.moments.len()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    #[test]
    fn a_job_has_one_moment_and_takes_it_along_when_it_goes() {
        let (one, two) = (JobId(B256::repeat_byte(1)), JobId(B256::repeat_byte(2)));
        let mut wakes = Wakes::default();
        for moment in [30, 10, 20, 20] {
            wakes.set(one, Some(moment));
        }
        wakes.set(two, Some(15));
        assert_eq!((wakes.len(), wakes.next()), (2, Some(15)));
        assert_eq!(wakes.due(14), None);
        assert_eq!([wakes.due(20), wakes.due(20), wakes.due(20)], [Some(two), Some(one), None]);
        wakes.set(one, Some(40));
        wakes.set(one, None);
        assert_eq!((wakes.len(), wakes.next(), wakes.due(50)), (0, None, None));
    }
}
