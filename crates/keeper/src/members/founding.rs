//! How servers find their ensemble, or found one, without anybody preparing anything.
//!
//! Each server asks the others that its configuration names who is there. If anybody belongs to an
//! ensemble with members, that is the one. If nobody does, and all participants are there, the one
//! with the lowest number founds an ensemble with all of them as voters.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_model::Uuid;
use ottla_raft::{Member, NodeId};
use ottla_runtime::Shutdown;

use super::dial::{dial, place};
use super::hello::{Introduction, Purpose};
use super::here::Here;
use super::identity::random_uuid;
use crate::error::Error;

/// How often those who wait for others say so.
const TELL_EVERY_MS: i64 = 10_000;
/// The same participants have to be met in so many rounds, one after the other, before an ensemble
/// is founded: one that has just been emptied, or that has joined others, is seen then.
const ROUNDS_BEFORE_FOUNDING: u32 = 2;

/// The pause between two rounds grows with their number, between these.
const PAUSE_MS_MIN: u64 = 50;
const PAUSE_MS_MAX: u64 = 500;

/// What the search has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is an ensemble.
    Ensemble(Uuid),
    /// This server founds one, with these voters.
    Founder(Uuid, BTreeMap<NodeId, Member>),
}

/// One who was met, and where.
struct Met {
    place: String,
    introduction: Introduction,
}

/// Who was met in a round, and why the others were not.
struct Round {
    met: BTreeMap<NodeId, Met>,
    missing: BTreeMap<NodeId, String>,
}

/// Asks around until there is an ensemble, or the server is told to stop.
pub(crate) async fn search(here: &Here, shutdown: &Shutdown) -> Result<Found, Error> {
    let (mut rounds, mut last, mut told_ms) = (0, BTreeMap::new(), None);
    let mut pause_ms = PAUSE_MS_MIN;
    loop {
        let round = tokio::select! {
            biased;
            () = shutdown.announced() => return Err(Error::Stopped),
            round = ask_all(here) => round,
        };
        // The leader of a group that this server belongs to may have found it meanwhile.
        if here
            .host
            .raft()
            .is_some_and(|raft| raft.state().get().initialized)
            && let Some(id) = here.ensemble_id.get()
        {
            return Ok(Found::Ensemble(*id));
        }
        if let Some(id) =
            one_ensemble(round.met.values().filter(|met| met.introduction.is_founded))?
        {
            return Ok(Found::Ensemble(id));
        }
        match voters(here, &round) {
            Some(voters) if voters == last => rounds += 1,
            Some(voters) => (rounds, last) = (1, voters),
            None => (rounds, last) = (0, BTreeMap::new()),
        }
        if rounds >= ROUNDS_BEFORE_FOUNDING && here.participants.first() == Some(&here.id) {
            return Ok(Found::Founder(ensemble_id(here, &round)?, last));
        }
        let now_ms = here.runtime.clock.monotonic_ms();
        if told_ms.is_none_or(|at| now_ms - at >= TELL_EVERY_MS) {
            // In the first round the others are hardly ever there already.
            if told_ms.is_some() || rounds == 0 {
                tell(here, &round);
            }
            told_ms = Some(now_ms);
        }
        let pause = Duration::from_millis(pause_ms + here.runtime.random.below(pause_ms));
        pause_ms = (pause_ms + pause_ms / 8).min(PAUSE_MS_MAX);
        tokio::select! {
            biased;
            () = shutdown.announced() => return Err(Error::Stopped),
            () = here.runtime.clock.sleep(pause) => {}
        }
    }
}

async fn ask_all(here: &Here) -> Round {
    let asking = here.others.iter().map(|(id, endpoints)| async move {
        let dialed = dial(here, *id, endpoints, Purpose::Meet).await;
        (*id, dialed)
    });
    let (mut met, mut missing) = (BTreeMap::new(), BTreeMap::new());
    for (id, dialed) in join_all(asking).await {
        match dialed {
            Ok(dialed) => {
                let (place, introduction) = (dialed.place, dialed.introduction);
                met.insert(
                    id,
                    Met {
                        place,
                        introduction,
                    },
                );
            }
            Err(error) => {
                missing.insert(id, error.to_string());
            }
        }
    }
    Round { met, missing }
}

/// The voters of a new ensemble, if all participants are there and mean the same ones.
fn voters(here: &Here, round: &Round) -> Option<BTreeMap<NodeId, Member>> {
    let participants = here.participants.iter();
    let each = participants.map(|id| {
        if *id == here.id {
            return Some((*id, here.member.clone()));
        }
        let met = &round.met.get(id)?.introduction;
        (met.participants == here.participants).then(|| (*id, met.member.clone()))
    });
    each.collect()
}

/// The id of the ensemble that is founded: a founder that was interrupted goes on with the one that
/// it had made up.
fn ensemble_id(here: &Here, round: &Round) -> Result<Uuid, Error> {
    if let Some(own) = here.ensemble_id.get() {
        return Ok(*own);
    }
    let known = one_ensemble(round.met.values())?;
    Ok(known.unwrap_or_else(|| random_uuid(&here.runtime)))
}

/// The ensemble that those who were met belong to, if any of them does.
fn one_ensemble<'a>(met: impl Iterator<Item = &'a Met>) -> Result<Option<Uuid>, Error> {
    let mut first: Option<(&Met, Uuid)> = None;
    for met in met {
        let Some(id) = met.introduction.ensemble_id else {
            continue;
        };
        match first {
            Some((other, known)) if known != id => {
                let one = |met: &Met, id: Uuid| {
                    format!("server {} at {} to {id}", met.introduction.id, met.place)
                };
                return Err(Error::SeveralEnsembles {
                    one: one(other, known),
                    other: one(met, id),
                });
            }
            Some(_) => {}
            None => first = Some((met, id)),
        }
    }
    Ok(first.map(|(_, id)| id))
}

fn tell(here: &Here, round: &Round) {
    let each = here.participants.iter().filter(|id| **id != here.id);
    let missing: Vec<String> = each
        .filter_map(|id| {
            if let Some(reason) = round.missing.get(id) {
                let at = here.others.get(id).and_then(|all| all.first()).map(place);
                let at = at.unwrap_or_default();
                return Some(format!("server {id} at {at} ({reason})"));
            }
            let theirs = &round.met.get(id)?.introduction.participants;
            (*theirs != here.participants).then(|| {
                format!(
                    "server {id} is there, but for it the participants are {theirs:?}, and here \
                     {:?}",
                    here.participants
                )
            })
        })
        .collect();
    tracing::info!(
        participants = ?here.participants,
        missing = %missing.join("; "),
        "waiting for the other servers of the ensemble"
    );
}
