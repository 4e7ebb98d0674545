//! Which record of the source became which record of the target.

/// From here on, source and target offsets grow together, until the next run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) source: i64,
    pub(super) target: i64,
}

/// The runs of one partition, in their order. The source has gaps, where compaction took records
/// away or a transaction's marker stands; the target has none. Each gap begins a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was planned from this target offset on was not done.
    pub(super) fn truncate(&mut self, target_end: i64) {
        let kept = self.0.partition_point(|run| run.target < target_end);
        self.0.truncate(kept);
    }

    /// Takes in a run as it was written down. It replaces what was planned there before.
    pub(super) fn replace_from(&mut self, run: Run) {
        self.truncate(run.target);
        self.0.push(run);
    }

    /// Plans records; a run, when they begin one.
    pub(super) fn plan(&mut self, source: i64, target: i64) -> Option<Run> {
        let goes_on = self
            .0
            .last()
            .is_some_and(|run| run.target - run.source == target - source);
        if goes_on {
            return None;
        }
        let run = Run { source, target };
        self.0.push(run);
        Some(run)
    }

    /// The source offset behind the record that is the last before `target_end`; `None` when no
    /// record before it was copied.
    pub(super) fn source_behind(&self, target_end: i64) -> Option<i64> {
        let at = self.0.partition_point(|run| run.target < target_end);
        let run = self.0.get(at.checked_sub(1)?)?;
        Some(run.source + (target_end - run.target))
    }

    /// Where a reader goes on in the target who would go on at `source` in the source. Never
    /// beyond what is there: then some records are read again, and none is missed.
    pub(super) fn translate(&self, source: i64, target_end: i64) -> i64 {
        let at = self.0.partition_point(|run| run.source <= source);
        let next = self.0.get(at);
        let Some(run) = at.checked_sub(1).and_then(|at| self.0.get(at)) else {
            return next.map_or(target_end, |run| run.target.min(target_end));
        };
        let target = run.target + (source - run.source);
        let bound = next.map_or(target_end, |next| next.target.min(target_end));
        target.min(bound)
    }

    /// Whether every record has the same offset on both sides.
    pub(super) fn is_identity(&self) -> bool {
        self.0.iter().all(|run| run.source == run.target)
    }
}
