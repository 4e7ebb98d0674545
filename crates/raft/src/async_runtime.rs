//! openraft's door to time, tasks and randomness.
//!
//! Time and tasks are tokio's, which a simulation makes virtual. Randomness (election timeouts, the
//! first tick) comes from [`Random`], so that a group in a simulation repeats itself from its seed:
//! every task that openraft starts carries the source of the member that it works for. For the same
//! reason its watches are our own.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::async_runtime::AsyncRuntime;
use openraft_rt_tokio::TokioRuntime;
use ottla_runtime::Random;

use crate::watch::FairWatch;

tokio::task_local! {
    static RANDOM: Random;
}

/// Runs the future with `random` as the source for itself and for all tasks that come from it.
pub(crate) async fn with_random<F: Future>(random: Random, future: F) -> F::Output {
    RANDOM.scope(random, future).await
}

/// [`TokioRuntime`] with a source of randomness that can be seeded.
#[derive(Debug)]
pub(crate) struct SeededRuntime(TokioRuntime);

/// The current task's source.
pub(crate) struct TaskRng(Random);

impl rand::TryRng for TaskRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        // The upper half is as random as the lower one.
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl AsyncRuntime for SeededRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = TaskRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = FairWatch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match RANDOM.try_with(Clone::clone) {
            Ok(random) => TokioRuntime::spawn(RANDOM.scope(random, future)),
            // A caller of ours that forgot `with_random`: nothing random is drawn in such tasks.
            Err(_) => TokioRuntime::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        match RANDOM.try_with(Clone::clone) {
            Ok(random) => TaskRng(random),
            Err(_) => ottla_runtime::fail_stop(
                "randomness was asked for by a task that belongs to no member of a raft group",
            ),
        }
    }

    fn new(threads: usize) -> Self {
        SeededRuntime(TokioRuntime::new(threads))
    }

    /// openraft's own tests of a store come in through here.
    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(RANDOM.scope(Random::from_seed(0), future))
    }
}
