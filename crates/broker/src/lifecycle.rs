//! The broker's standing in the cluster: it registers, says that it is there, and says goodbye.
//!
//! ```text
//! register (fenced) ─▶ heartbeats ─▶ followed its registration, logs open ─▶ unfenced
//!                          │ silence: the controller fences it, others lead its partitions
//!                          └ wants to stop: others lead its partitions, then it may
//! ```
//!
//! In a cluster of one nobody could take over: the broker registers unfenced and sends nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_metadata::{BrokerHeartbeat, BrokerHeartbeatReply, Command, Refusal};
use ottla_metadata::{RegisterBroker, Reply};
use ottla_model::ErrorCode;
use ottla_runtime::published::{Published, Publisher, published};
use ottla_runtime::{Service, Shutdown};
use tokio::sync::watch;

use crate::Broker;
use crate::start::Error;

/// How often a broker that waits for something says that it is there.
const EAGER: Duration = Duration::from_millis(20);
/// How long one heartbeat may wait for its answer.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(2);
/// How long a broker that wants to stop waits for others to take over.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(15);
/// How long the controller may be silent towards a broker that wants to stop.
const ALONE_FOR_MS: i64 = 3000;
const RETRY_MAX: Duration = Duration::from_millis(500);

/// How the broker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It leads nothing.
    Fenced,
    /// It takes part.
    Active,
    /// Others lead what it led; it may stop.
    MayStop,
    /// It will never take part as it is configured; [`LifecycleHandle::active`] says why.
    TurnedAway,
}

/// The calling side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LifecycleHandle {
    wants_stop: Arc<watch::Sender<bool>>,
    standing: Published<Standing>,
    refusal: Arc<OnceLock<Refusal>>,
}

/// The running half.
pub(crate) struct Lifecycle {
    broker: Arc<Broker>,
    registration: RegisterBroker,
    wants_stop: watch::Receiver<bool>,
    publisher: Publisher<Standing>,
    standing: Standing,
    /// Whether the broker has been active since its start.
    was_active: bool,
    refusal: Arc<OnceLock<Refusal>>,
}

/// Registers the broker, for as long as `initial.broker.registration.timeout.ms` allows.
pub(crate) async fn register(broker: &Broker, registration: &RegisterBroker) -> Result<(), Error> {
    let limit_ms = broker
        .config()
        .broker
        .initial_broker_registration_timeout_ms;
    let limit = Duration::from_millis(u64::try_from(limit_ms).unwrap_or(0));
    let deadline = broker.runtime.clock.instant() + limit;
    let mut pause = EAGER;
    loop {
        let command = Command::RegisterBroker(registration.clone());
        let refusal = match broker.ask_controller(command).await {
            Ok(Reply::RegisterBroker(registered)) => {
                broker.set_epoch(registered.broker_epoch);
                return Ok(());
            }
            Ok(_) => return Err(Error::Partitions("the controller misunderstood".to_owned())),
            Err(refusal) => refusal,
        };
        let may_pass = matches!(
            refusal.code,
            ErrorCode::NotController
                | ErrorCode::RequestTimedOut
                | ErrorCode::KafkaStorageError
                // Its old self may just have died.
                | ErrorCode::DuplicateBrokerRegistration
        );
        let now = broker.runtime.clock.instant();
        if !may_pass || now >= deadline || broker.runtime.shutdown().is_announced() {
            return Err(Error::Refused(refusal));
        }
        tracing::info!(reason = %refusal, "the broker is not registered yet");
        broker.runtime.clock.sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Whether nothing but another configuration helps: an endpoint belongs to another broker that lives.
fn is_for_good(refusal: &Refusal) -> bool {
    refusal.code == ErrorCode::InvalidRegistration
}

impl Lifecycle {
    /// Both halves, for a broker that is registered.
    pub(crate) fn new(
        broker: &Arc<Broker>,
        registration: RegisterBroker,
    ) -> (Lifecycle, LifecycleHandle) {
        let standing = match registration.fenced {
            true => Standing::Fenced,
            false => Standing::Active,
        };
        let (publisher, shown) = published(standing);
        let (wants_stop, watched) = watch::channel(false);
        let refusal = Arc::new(OnceLock::new());
        let lifecycle = Lifecycle {
            broker: Arc::clone(broker),
            was_active: !registration.fenced,
            registration,
            wants_stop: watched,
            publisher,
            standing,
            refusal: Arc::clone(&refusal),
        };
        let handle = LifecycleHandle {
            wants_stop: Arc::new(wants_stop),
            standing: shown,
            refusal,
        };
        (lifecycle, handle)
    }

    fn interval(&self) -> Duration {
        let ms = self.broker.config().broker.broker_heartbeat_interval_ms;
        Duration::from_millis(u64::try_from(ms).unwrap_or(1).max(1))
    }

    fn stand(&mut self, standing: Standing) {
        if standing != self.standing {
            tracing::info!(
                ?standing,
                epoch = self.broker.epoch(),
                "the broker's standing"
            );
            self.standing = standing;
            self.publisher.publish(standing);
        }
    }

    /// Before it takes part, a broker has opened its logs: who leads should be able to serve.
    fn is_ready(&self) -> bool {
        self.was_active
            || self
                .broker
                .partitions
                .all()
                .iter()
                .all(|p| p.log().is_some())
    }

    /// One heartbeat; how long to wait for the next one. It is an error when others can never take
    /// this broker in as it is configured.
    async fn beat(&mut self) -> Result<Duration, Refusal> {
        let wants_stop = *self.wants_stop.borrow();
        let heartbeat = BrokerHeartbeat {
            broker_id: self.broker.node_id,
            broker_epoch: self.broker.epoch(),
            metadata_offset: self.broker.image().metadata_offset(),
            want_fence: !wants_stop && !self.is_ready(),
            want_shut_down: wants_stop,
        };
        let beating = self
            .broker
            .ask_controller(Command::BrokerHeartbeat(heartbeat));
        let answer = self.broker.runtime.clock.timeout(HEARTBEAT_LIMIT, beating);
        let eager = EAGER.min(self.interval());
        Ok(match answer.await {
            Some(Ok(Reply::BrokerHeartbeat(reply))) => {
                let now_ms = self.broker.runtime.clock.monotonic_ms();
                self.broker.contact.made(now_ms);
                self.learn(reply, wants_stop);
                match self.standing {
                    Standing::Active if !wants_stop => self.interval(),
                    Standing::MayStop => self.interval(),
                    _ => eager,
                }
            }
            Some(Ok(_)) => self.interval(),
            Some(Err(refusal)) if refusal.code == ErrorCode::StaleBrokerEpoch && !wants_stop => {
                tracing::warn!(reason = %refusal, "the registration counts no more; registering again");
                self.stand(Standing::Fenced);
                // Fenced again: the controller may have given its partitions to others.
                self.registration.fenced = true;
                match register(&self.broker, &self.registration).await {
                    Ok(()) => eager,
                    Err(Error::Refused(refusal)) if is_for_good(&refusal) => {
                        return Err(refusal);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the broker cannot register again");
                        self.interval()
                    }
                }
            }
            Some(Err(refusal)) if is_for_good(&refusal) && !wants_stop => {
                return Err(refusal);
            }
            Some(Err(refusal)) => {
                tracing::debug!(reason = %refusal, "a heartbeat was refused");
                self.give_up(wants_stop);
                eager.max(self.interval() / 4)
            }
            None => {
                self.give_up(wants_stop);
                eager
            }
        })
    }

    /// A broker that wants to stop does not wait for a quorum that is not there: the last nodes of a
    /// cluster that stops as a whole have none.
    fn give_up(&mut self, wants_stop: bool) {
        let now_ms = self.broker.runtime.clock.monotonic_ms();
        let silent_ms = self.broker.contact.silent_ms(now_ms);
        if wants_stop && silent_ms >= ALONE_FOR_MS && self.standing != Standing::MayStop {
            tracing::warn!(
                silent_ms,
                "no controller answers; stopping without a hand-over"
            );
            self.stand(Standing::MayStop);
        }
    }

    /// The controller takes this broker in no more. One that starts says so and ends in order; one that
    /// clients know has to leave at once, before they take another broker for it.
    fn turned_away(&mut self, refusal: Refusal) -> Result<(), String> {
        if self.was_active {
            return Err(Error::Refused(refusal).to_string());
        }
        // Nobody else sets it.
        drop(self.refusal.set(refusal));
        self.stand(Standing::TurnedAway);
        Ok(())
    }

    fn learn(&mut self, reply: BrokerHeartbeatReply, wants_stop: bool) {
        let standing = match reply {
            _ if wants_stop && reply.should_shut_down => Standing::MayStop,
            _ if reply.is_fenced => Standing::Fenced,
            _ => Standing::Active,
        };
        self.was_active |= standing == Standing::Active;
        self.stand(standing);
    }
}

impl Service for Lifecycle {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let clock = self.broker.runtime.clock.clone();
        // It has just been registered.
        self.broker.contact.made(clock.monotonic_ms());
        let mut wants_stop = self.wants_stop.clone();
        loop {
            let pause = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                beaten = self.beat() => match beaten {
                    Ok(pause) => pause,
                    Err(refusal) => return self.turned_away(refusal),
                },
            };
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                // An error: nobody can ask for the end any more, which the shutdown tells, too.
                Ok(()) = wants_stop.changed() => {}
                () = clock.sleep(pause) => {}
            }
        }
    }
}

impl LifecycleHandle {
    /// How the broker stands.
    pub(crate) fn standing(&self) -> Standing {
        *self.standing.get()
    }

    /// Waits until the broker takes part, or the node stops. It is an error when the broker never will.
    pub(crate) async fn active(&self, broker: &Broker) -> Result<(), Error> {
        let mut standing = self.standing.clone();
        while *standing.get() == Standing::Fenced {
            tokio::select! {
                biased;
                () = broker.runtime.shutdown().announced() => break,
                alive = standing.changed() => if !alive {
                    break;
                },
            }
        }
        match self.refusal.get() {
            Some(refusal) => Err(Error::Refused(refusal.clone())),
            None => Ok(()),
        }
    }

    /// Hands over what the broker leads, before it stops to answer.
    pub(crate) async fn hand_over(&self, broker: &Broker) {
        // Nobody reads it when the lifecycle does not run: in a cluster of one.
        if self.wants_stop.send(true).is_err() {
            return;
        }
        let mut standing = self.standing.clone();
        let waiting = async {
            while *standing.get() != Standing::MayStop {
                if !standing.changed().await {
                    return;
                }
            }
        };
        let clock = &broker.runtime.clock;
        if clock.timeout(HAND_OVER_LIMIT, waiting).await.is_some() {
            tracing::info!("others lead what this broker led");
        } else {
            tracing::warn!("others did not take over everything in time; stopping all the same");
        }
    }
}
