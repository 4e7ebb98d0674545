//! Threads for work on the disk: writes and flushes block, so they never run on a network task.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads that run jobs in the order in which they come.
///
/// Jobs of one owner (a partition's log) must not overlap: the owner submits its next job only
/// when the last one has ended, or from within it.
///
/// In a simulation there are no threads: a job runs on the host's own executor after a random
/// moment of virtual time, so that a crash can fall between two jobs.
#[derive(Clone)]
pub struct Workers(Kind);

#[derive(Clone)]
enum Kind {
    Real(Arc<Pool>),
    #[cfg(feature = "sim")]
    Simulated(crate::Random),
}

struct Pool {
    queue: Mutex<Queue>,
    wake: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Workers {
    pub(crate) fn real(name: &'static str, threads: usize) -> Self {
        let queue = Mutex::new(Queue {
            jobs: VecDeque::new(),
            closed: false,
        });
        let pool = Arc::new(Pool {
            queue,
            wake: Condvar::new(),
        });
        for number in 0..threads.max(1) {
            let pool = Arc::clone(&pool);
            let spawned = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || pool.work());
            if let Err(error) = spawned {
                crate::fail_stop(format!(
                    "thread {name}-{number} could not be started ({error}); raise the limit of \
                     processes or lower the number of threads"
                ));
            }
        }
        Workers(Kind::Real(pool))
    }

    #[cfg(feature = "sim")]
    pub(crate) fn simulated(random: crate::Random) -> Self {
        Workers(Kind::Simulated(random))
    }

    /// Queues a job.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Kind::Real(pool) => pool.push(Box::new(job)),
            #[cfg(feature = "sim")]
            Kind::Simulated(random) => run_later(random, job),
        }
    }

    /// Called from within a job: goes on with its next part. For real that is at once, on the same
    /// thread; in a simulation a moment later, so that a crash between the parts is tried, too.
    pub fn proceed(&self, next: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Kind::Real(_) => next(),
            #[cfg(feature = "sim")]
            Kind::Simulated(random) => run_later(random, next),
        }
    }

    /// Ends the threads once the queued jobs are done. Jobs submitted later are dropped.
    pub fn close(&self) {
        match &self.0 {
            Kind::Real(pool) => {
                pool.queue.lock().closed = true;
                pool.wake.notify_all();
            }
            #[cfg(feature = "sim")]
            Kind::Simulated(_) => {}
        }
    }
}

#[cfg(feature = "sim")]
fn run_later(random: &crate::Random, job: impl FnOnce() + Send + 'static) {
    let wait = std::time::Duration::from_micros(random.below(3_000));
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        job();
    });
}

impl Pool {
    fn push(&self, job: Job) {
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.wake.notify_one();
    }

    fn work(&self) {
        loop {
            let mut queue = self.queue.lock();
            let job = loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                self.wake.wait(&mut queue);
            };
            drop(queue);
            job();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_run_and_the_threads_end_after_the_last_one() {
        let workers = Workers::real("test", 2);
        let (tx, rx) = mpsc::channel();
        for n in 0..100 {
            let tx = tx.clone();
            workers.submit(move || tx.send(n).unwrap());
        }
        drop(tx);
        workers.close();
        let mut seen: Vec<i32> = rx.iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }
}
