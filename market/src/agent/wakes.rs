//! When to look at which job again.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Time, model::JobId};

/// At most one time for each job: whoever looks at a job finds out anew when to look next. So there are never more times than
/// jobs, however far away they lie.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakes {
    times: BTreeSet<(Time, JobId)>,
    of: BTreeMap<JobId, Time>,
}

impl Wakes {
    /// Looks at the job at `time`, unless it is looked at earlier anyway.
    pub(super) fn add(&mut self, job: JobId, time: Time) {
        match self.of.get(&job) {
            Some(earlier) if *earlier <= time => return,
            Some(later) => {
                self.times.remove(&(*later, job));
            }
            None => {}
        }
        self.of.insert(job, time);
        self.times.insert((time, job));
    }

    /// Forgets the job.
    pub(super) fn remove(&mut self, job: JobId) {
        if let Some(time) = self.of.remove(&job) {
            self.times.remove(&(time, job));
        }
    }

    /// A job to look at now, which is forgotten.
    pub(super) fn due(&mut self, now: Time) -> Option<JobId> {
        let &(time, job) = self.times.first()?;
        if time > now {
            return None;
        }
        self.remove(job);
        Some(job)
    }

    /// How many jobs are to be looked at.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.times.len(), self.of.len());
        self.times.len()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    #[test]
    fn a_job_has_one_time_the_earliest_and_takes_it_along_when_it_goes() {
        let (one, two) = (JobId(B256::repeat_byte(1)), JobId(B256::repeat_byte(2)));
        let mut wakes = Wakes::default();
        for time in [30, 10, 20, 10] {
            wakes.add(one, Time(time));
        }
        wakes.add(two, Time(15));
        assert_eq!(wakes.len(), 2);
        assert_eq!(wakes.due(Time(9)), None);
        assert_eq!([wakes.due(Time(20)), wakes.due(Time(20)), wakes.due(Time(20))], [Some(one), Some(two), None]);
        wakes.add(one, Time(40));
        wakes.remove(one);
        assert_eq!((wakes.len(), wakes.due(Time(50))), (0, None));
    }
}
