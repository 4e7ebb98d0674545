//! Requests that wait until fewer are in work (`RequestThrottler`).

use std::time::Duration;

use ottla_runtime::Instant;

use crate::clients::connection::Connection;
use crate::server::Server;

/// What becomes of a request that may have waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is carried out.
    CarryOut,
    /// It has waited for so long that it is answered with `THROTTLEDOP` instead.
    Throttled,
    /// It is stale. Its connection ends, since what comes behind it must not be carried out
    /// either.
    Drop,
}

impl Server {
    /// Whether requests may have to wait at all. Without that they are all carried out at once.
    pub(crate) fn throttles_requests(&self) -> bool {
        self.config.limits.request_throttle.requests_max.is_some()
    }

    /// Waits until it is a request's turn. `is_close` is for the request that closes the session,
    /// which is never stale.
    pub(crate) async fn turn(
        &self,
        connection: &Connection,
        arrived: Instant,
        is_close: bool,
    ) -> Turn {
        let throttle = &self.config.limits.request_throttle;
        let clock = &self.runtime.clock;
        let stall = Duration::from_millis(throttle.stall_time_ms);
        let age = || clock.instant().saturating_duration_since(arrived);
        let timeout = Duration::from_millis(u64::try_from(connection.timeout_ms()).unwrap_or(0));
        let is_stale = || {
            let is_closed = throttle.stale_connection_check && connection.is_ending();
            !is_close && (is_closed || throttle.stale_latency_check && age() > timeout)
        };
        let most = throttle.requests_max.unwrap_or(u64::MAX);
        loop {
            if throttle.drop_stale && is_stale() {
                self.meters.stale_dropped.add(1);
                return Turn::Drop;
            }
            let fewer = self.throttles.fewer.notified();
            if self.throttles.in_process() < most {
                break;
            }
            self.meters.throttle_waits.add(1);
            // Whoever is woken may find the place taken; it looks again then.
            clock.timeout(stall, fewer).await;
        }
        if is_stale() {
            self.meters.stale_requests.add(1);
        }
        self.meters.throttle_queue.took(age());
        let limit = throttle.throttled_wait_ms.map(Duration::from_millis);
        match limit.is_some_and(|limit| age() > limit) {
            true => Turn::Throttled,
            false => Turn::CarryOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_config::KeeperConfig;
    use ottla_runtime::Runtime;

    use super::*;

    /// A server on which a request is in work, so that others wait, and a connection.
    fn busy(change: impl FnOnce(&mut ottla_config::RequestThrottle)) -> (Server, Connection) {
        let mut config = KeeperConfig::default();
        let throttle = &mut config.limits.request_throttle;
        throttle.requests_max = Some(1);
        throttle.stall_time_ms = 10;
        throttle.stale_connection_check = true;
        change(throttle);
        let runtime = Runtime::real();
        let server = Server::new(&runtime, Arc::new(config), 1, None);
        server.throttles.begun(1);
        let (now, peer) = (runtime.clock.instant(), "127.0.0.1:1".parse().unwrap());
        (server, Connection::new(1, peer, false, Vec::new(), now, 0))
    }

    #[tokio::test]
    async fn a_request_goes_on_when_another_one_has_ended() {
        let (server, connection) = busy(|throttle| throttle.stall_time_ms = 3_600_000);
        let arrived = server.runtime.clock.instant();
        let ends = async {
            tokio::task::yield_now().await;
            server.throttles.ended(1);
        };
        let (turn, ()) = tokio::join!(server.turn(&connection, arrived, false), ends);
        assert_eq!(turn, Turn::CarryOut);
        assert_eq!(server.meters.throttle_waits.get(), 1);
    }

    #[tokio::test]
    async fn what_a_closed_connection_still_wanted_is_dropped_but_for_the_end_of_its_session() {
        let (server, connection) = busy(|_| ());
        let arrived = server.runtime.clock.instant();
        connection.abort();
        assert_eq!(server.turn(&connection, arrived, false).await, Turn::Drop);
        assert_eq!(server.meters.stale_dropped.get(), 1);
        server.throttles.ended(1);
        assert_eq!(
            server.turn(&connection, arrived, true).await,
            Turn::CarryOut
        );
        assert_eq!(server.meters.stale_requests.get(), 0);
    }

    #[tokio::test]
    async fn a_request_that_is_older_than_its_session_may_be_is_dropped_or_only_counted() {
        for drops in [true, false] {
            let (server, connection) = busy(|throttle| {
                throttle.stale_latency_check = true;
                throttle.drop_stale = drops;
            });
            connection.set_session(7, 20);
            let arrived = server.runtime.clock.instant();
            server.runtime.clock.sleep(Duration::from_millis(30)).await;
            if drops {
                assert_eq!(server.turn(&connection, arrived, false).await, Turn::Drop);
                assert_eq!(server.meters.stale_dropped.get(), 1);
            } else {
                server.throttles.ended(1);
                assert_eq!(
                    server.turn(&connection, arrived, false).await,
                    Turn::CarryOut
                );
                assert_eq!(server.meters.stale_requests.get(), 1);
            }
        }
    }
}
