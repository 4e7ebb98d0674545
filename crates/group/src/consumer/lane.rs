//! Operations of a group, one after the other.
//!
//! An operation may build on what another has changed, so while records of a group are on their way
//! to the log, further ones wait. Then all that wait are carried out, and their records go to the
//! log together.
//!
//! ```text
//!   requests ──▶ ┌ lane of the group ┐ ──▶ operations ──▶ one batch ──▶ Append ─── durable ──▶ replies
//!   timers   ──▶ └───────────────────┘         ▲                                     │
//!                                              └──────── next in the lane ◀──────────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_model::{ErrorCode, Uuid};

use super::edit::{After, Batch, Refusal};
use super::group::{Checked, ConsumerGroup};
use super::heartbeat::Operation;
use super::migrate;
use super::request::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse};
use crate::coordinator::Coordinator;
use crate::effect::{AppendId, Notice, Token};
use crate::error::append_error;
use crate::expiry::{TOMBSTONES_MAX, tombstones};
use crate::group::Group;
use crate::loading::refusal;
use crate::outbox::{Held, Outbox};
use crate::records::Record;
use crate::request::{DeleteGroupRequest, JoinRequest, Request};
use crate::response::{JoinResponse, LeaveResponse, Response, SyncResponse};
use crate::state::GroupState;
use crate::timers::TimerKey;

/// From how many records on a batch takes no further operation.
const BATCH_RECORDS_MAX: usize = 2_000;

/// What waits for its turn.
#[derive(Debug)]
pub(crate) enum Work {
    Request(Token, Request, [u8; 16]),
    Timer(TimerKey),
    /// Offsets, and groups without any, that nobody needs any more.
    Expire,
}

/// See the [module](self). There is one only while something waits.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) queue: VecDeque<Work>,
    /// The batch that is on its way to the log.
    in_flight: Option<AppendId>,
}

/// How an operation has gone.
enum Next {
    /// It is done.
    Done,
    /// It is done, and nothing may follow before the batch is durable.
    Flush,
    /// It has to wait until everything before it is durable.
    Later(Box<Work>),
}

impl Coordinator {
    /// Whether what concerns this group has to go through its lane.
    pub(crate) fn has_lane(&self, group_id: &str) -> bool {
        self.consumers.contains_key(group_id) || self.lanes.contains_key(group_id)
    }

    /// Carries work out, now or in its turn.
    pub(crate) fn enqueue(&mut self, group_id: &Arc<str>, work: Work) {
        let lane = self.lanes.entry(group_id.clone()).or_default();
        lane.queue.push_back(work);
        self.run_lane(group_id);
    }

    /// Carries out what waits, as far as that is possible now.
    pub(crate) fn run_lane(&mut self, group_id: &Arc<str>) {
        loop {
            let mut batch = Batch::default();
            let mut stuck = false;
            while batch.records.len() < BATCH_RECORDS_MAX {
                let Some(lane) = self.lanes.get_mut(group_id) else {
                    return;
                };
                if lane.in_flight.is_some() {
                    return;
                }
                let Some(work) = lane.queue.pop_front() else {
                    break;
                };
                match self.carry_out(group_id, work, &mut batch) {
                    Next::Done => {}
                    Next::Flush => break,
                    Next::Later(work) => {
                        if let Some(lane) = self.lanes.get_mut(group_id) {
                            lane.queue.push_front(*work);
                        }
                        stuck = true;
                        break;
                    }
                }
            }
            if !batch.records.is_empty() {
                self.append_batch(group_id, batch);
                return;
            }
            for (token, response) in batch.replies {
                self.out.reply(token, response);
            }
            let is_empty = self.lanes.get(group_id).is_none_or(|l| l.queue.is_empty());
            if is_empty {
                self.lanes.remove(group_id);
            }
            if is_empty || stuck {
                return;
            }
        }
    }

    fn append_batch(&mut self, group_id: &Arc<str>, mut batch: Batch) {
        let records = std::mem::take(&mut batch.records);
        let append_id = self
            .out
            .append(group_id, &records, Held::Consumer(Box::new(batch)));
        if let Some(lane) = self.lanes.get_mut(group_id) {
            lane.in_flight = Some(append_id);
        }
    }

    fn carry_out(&mut self, group_id: &Arc<str>, work: Work, batch: &mut Batch) -> Next {
        match work {
            Work::Request(token, Request::ConsumerHeartbeat(request), random) => {
                self.heartbeat_work(token, request, random, batch)
            }
            Work::Timer(key) => {
                self.timer_work(group_id, &key, batch);
                Next::Done
            }
            Work::Expire => self.expire_work(group_id, batch),
            Work::Request(token, request, random) => {
                self.request_work(group_id, token, request, random, batch)
            }
        }
    }

    fn request_work(
        &mut self,
        group_id: &Arc<str>,
        token: Token,
        request: Request,
        random: [u8; 16],
        batch: &mut Batch,
    ) -> Next {
        let Some(group) = self.consumers.get_mut(group_id) else {
            self.dispatch(token, request, random);
            return Next::Done;
        };
        let mut operation = Operation {
            group,
            batch,
            out: &mut self.out,
            cluster: &*self.cluster,
        };
        match request {
            Request::Join(request) => return self.join_work(token, request, random, batch),
            Request::Sync(request) => {
                let outcome = operation.classic_sync(&request);
                let response = outcome.unwrap_or_else(|r| SyncResponse::error(r.error));
                operation.batch.reply(token, Response::Sync(response));
            }
            Request::Heartbeat(request) => {
                let outcome = operation.classic_heartbeat(&request);
                let error = outcome.unwrap_or_else(|r| r.error);
                operation.batch.reply(token, Response::Heartbeat(error));
            }
            Request::Leave(request) => {
                let response = operation.classic_leave(&request);
                operation.batch.reply(token, Response::Leave(response));
                return flush_if_converted(batch);
            }
            Request::DeleteGroup(_) => return self.delete_work(group_id, token, random, batch),
            // The rest speaks of what is durable.
            request if !batch.records.is_empty() => {
                return Next::Later(Box::new(Work::Request(token, request, random)));
            }
            request => self.dispatch(token, request, random),
        }
        Next::Done
    }

    fn join_work(
        &mut self,
        token: Token,
        request: JoinRequest,
        random: [u8; 16],
        batch: &mut Batch,
    ) -> Next {
        if let Err(error) = self.check_join(&request) {
            let response = JoinResponse::error(error, request.member_id.clone());
            batch.reply(token, Response::Join(response));
            return Next::Done;
        }
        let Some(group) = self.consumers.get_mut(&request.group_id) else {
            self.dispatch(token, Request::Join(request), random);
            return Next::Done;
        };
        if group.members.is_empty() {
            if !batch.records.is_empty() {
                return Next::Later(Box::new(Work::Request(
                    token,
                    Request::Join(request),
                    random,
                )));
            }
            // An empty group is as well a classic one: what it was is deleted first.
            for record in group.tombstones() {
                batch.put(group, record);
            }
            batch.after = After::Delete;
            batch.retry = Some((token, Request::Join(request), random));
            return Next::Flush;
        }
        let member_id = match request.member_id.is_empty() {
            true => Uuid(random).to_string().into(),
            false => request.member_id.clone(),
        };
        let mark = batch.mark();
        let mut operation = Operation {
            group,
            batch,
            out: &mut self.out,
            cluster: &*self.cluster,
        };
        if let Err(refusal) = operation.classic_join(token, &request, &member_id) {
            batch.rewind(group, mark);
            group.checked = Checked(None);
            let response = JoinResponse::error(refusal.error, request.member_id);
            batch.reply(token, Response::Join(response));
        }
        flush_if_converted(batch)
    }

    fn heartbeat_work(
        &mut self,
        token: Token,
        request: ConsumerHeartbeatRequest,
        random: [u8; 16],
        batch: &mut Batch,
    ) -> Next {
        let group_id = request.group_id.clone();
        let mut created = false;
        let mut opened = request.check(&self.out.options.consumer.assignors);
        if opened.is_ok() && !self.consumers.contains_key(&group_id) {
            let joins = request.member_epoch == super::member::JOIN_EPOCH;
            if joins && self.out.has_in_flight(&group_id) {
                let request = Request::ConsumerHeartbeat(request);
                return Next::Later(Box::new(Work::Request(token, request, random)));
            }
            opened = self.open(&group_id, joins, batch);
            created = opened.is_ok();
        }
        if let Err(refusal) = opened {
            batch.reply(token, refused(refusal));
            return Next::Done;
        }
        let Some(group) = self.consumers.get_mut(&group_id) else {
            return Next::Done;
        };
        let mark = if created { (0, 0) } else { batch.mark() };
        let mut operation = Operation {
            group,
            batch,
            out: &mut self.out,
            cluster: &*self.cluster,
        };
        let outcome = match request.leaves() {
            true => operation.leave(&request),
            false => operation.heartbeat(&request, random),
        };
        match outcome {
            Ok(response) => {
                if let Some(classic) = batch.was_classic.as_mut().filter(|_| created) {
                    migrate::silence(classic, &mut self.out);
                }
                batch.reply(token, Response::ConsumerHeartbeat(response));
            }
            Err(refusal) => {
                batch.rewind(group, mark);
                group.checked = Checked(None);
                if created {
                    self.consumers.remove(&group_id);
                    if let Some(classic) = batch.was_classic.take() {
                        self.groups.insert(group_id, *classic);
                    }
                }
                batch.reply(token, refused(refusal));
            }
        }
        flush_if_converted(batch)
    }

    /// Makes the consumer group that a member joins, of nothing or of the classic group of its
    /// name. Nothing is on its way to the log for that.
    fn open(&mut self, group_id: &Arc<str>, joins: bool, batch: &mut Batch) -> Result<(), Refusal> {
        if !joins {
            let message = match self.groups.contains_key(group_id) {
                true => format!("Group {group_id} is not a consumer group."),
                false => format!("Consumer group {group_id} not found."),
            };
            return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
        }
        let group = match self.groups.get(group_id) {
            None => ConsumerGroup::new(group_id.clone()),
            Some(classic) if classic.is_in(GroupState::Empty) => {
                batch.log_only(Record::Group {
                    group_id: group_id.clone(),
                    value: None,
                });
                ConsumerGroup::new(group_id.clone())
            }
            Some(classic) => {
                migrate::check_upgrade(classic, &self.out.options)?;
                migrate::upgrade(classic, &*self.cluster, batch)?
            }
        };
        batch.was_classic = self.groups.remove(group_id).map(Box::new);
        self.consumers.insert(group_id.clone(), group);
        Ok(())
    }

    fn timer_work(&mut self, group_id: &Arc<str>, key: &TimerKey, batch: &mut Batch) {
        if self.out.timers.is_set(key) {
            // While it waited here, the member has shown that it lives.
            return;
        }
        let Some(group) = self.consumers.get_mut(group_id) else {
            self.fire(key);
            return;
        };
        let mut operation = Operation {
            group,
            batch,
            out: &mut self.out,
            cluster: &*self.cluster,
        };
        if let Some((members, reason)) = operation.overdue(key) {
            operation.fence(&members, reason);
        }
    }

    fn expire_work(&mut self, group_id: &Arc<str>, batch: &mut Batch) -> Next {
        if !batch.records.is_empty() || self.out.has_in_flight(group_id) {
            // The offsets may just be changing; the next time will do.
            return Next::Done;
        }
        let has_offsets = self.expire_consumer_offsets(group_id);
        if let Some(group) = self.consumers.get_mut(group_id)
            && group.members.is_empty()
            && !has_offsets
        {
            for record in group.tombstones() {
                batch.put(group, record);
            }
            batch.after = After::Delete;
            return Next::Flush;
        }
        Next::Done
    }

    /// DeleteGroups: the offsets first, in as many batches as they need, and then the group.
    fn delete_work(
        &mut self,
        group_id: &Arc<str>,
        token: Token,
        random: [u8; 16],
        batch: &mut Batch,
    ) -> Next {
        let request = Request::DeleteGroup(DeleteGroupRequest {
            group_id: group_id.clone(),
        });
        if !batch.records.is_empty() || self.out.has_in_flight(group_id) {
            return Next::Later(Box::new(Work::Request(token, request, random)));
        }
        let mut offsets: Vec<_> = self.offsets_of(group_id).into_iter().collect();
        let Some(group) = self.consumers.get_mut(group_id) else {
            return Next::Done;
        };
        if !group.members.is_empty() {
            batch.reply(token, Response::DeleteGroup(ErrorCode::NonEmptyGroup));
            return Next::Done;
        }
        let is_last = offsets.len() <= TOMBSTONES_MAX;
        offsets.truncate(TOMBSTONES_MAX);
        for record in tombstones(group_id, &offsets) {
            batch.log_only(record);
        }
        batch.deleted = offsets;
        if is_last {
            for record in group.tombstones() {
                batch.put(group, record);
            }
            batch.after = After::Delete;
            batch.reply(token, Response::DeleteGroup(ErrorCode::None));
        } else {
            batch.retry = Some((token, request, random));
        }
        Next::Flush
    }

    /// The batch of a group is durable.
    pub(crate) fn batch_durable(&mut self, group_id: &Arc<str>, batch: Batch) {
        let is_retried = batch.retry.is_some();
        self.deleted(group_id, &batch.deleted, false);
        match batch.after {
            After::Nothing => {}
            After::Delete => {
                self.consumers.remove(group_id);
                self.keep_offsets(group_id);
                if !is_retried {
                    self.out.notice(Notice::GroupDeleted {
                        group_id: group_id.clone(),
                    });
                }
            }
            After::BecomeClassic(classic, rebalance) => {
                self.consumers.remove(group_id);
                self.begin_classic(*classic, rebalance);
            }
        }
        for (token, response) in batch.replies {
            self.out.reply(token, response);
        }
        let lane = self.lanes.entry(group_id.clone()).or_default();
        lane.in_flight = None;
        if let Some((token, request, random)) = batch.retry {
            lane.queue.push_front(Work::Request(token, request, random));
        }
        self.run_lane(group_id);
    }

    fn begin_classic(&mut self, mut classic: Group, rebalance: Option<String>) {
        let out = &mut self.out;
        for member in classic.members.values() {
            let (group, member_id) = (classic.id.clone(), member.id.clone());
            out.timers
                .cancel(&TimerKey::MemberJoin(group.clone(), member_id.clone()));
            out.timers.cancel(&TimerKey::MemberSync(group, member_id));
            out.set_session(&classic.id, &member.id, member.session_timeout_ms);
        }
        if let Some(reason) = rebalance {
            classic.prepare_rebalance(out, reason);
        }
        self.groups.insert(classic.id.clone(), classic);
    }

    /// The batch of a group could not be written: nothing of it has happened.
    pub(crate) fn batch_failed(&mut self, group_id: &Arc<str>, mut batch: Batch, error: ErrorCode) {
        if let Some(group) = self.consumers.get_mut(group_id) {
            batch.rewind(group, (0, 0));
            group.checked = Checked(None);
            let is_new = *group == ConsumerGroup::new(group_id.clone());
            if let Some(classic) = batch.was_classic.take() {
                self.consumers.remove(group_id);
                migrate::resume(&classic, &mut self.out);
                self.groups.insert(group_id.clone(), *classic);
            } else if is_new {
                self.consumers.remove(group_id);
            } else {
                begin_sessions(group, &mut self.out, &*self.cluster);
            }
        }
        for (token, response) in batch.replies {
            self.out.reply(token, failed(response, append_error(error)));
        }
        if let Some((token, request, _)) = batch.retry {
            self.out.reply(token, refusal(request, append_error(error)));
        }
        self.lanes.entry(group_id.clone()).or_default().in_flight = None;
        self.run_lane(group_id);
    }
}

/// Begins the sessions of members that have none: after a restart, and of those that were to be
/// removed and are not.
pub(crate) fn begin_sessions(
    group: &ConsumerGroup,
    out: &mut Outbox,
    cluster: &dyn super::cluster::Cluster,
) {
    let own = cluster.group_overrides(&group.id).session_timeout_ms;
    let session_timeout_ms = out.options.consumer.session_timeout_ms(own);
    for (id, member) in &group.members {
        let key = TimerKey::Session {
            group: group.id.clone(),
            member: id.clone(),
        };
        if !out.timers.is_set(&key) {
            let classic = member.metadata.classic.as_ref();
            let timeout_ms = classic.map_or(session_timeout_ms, |c| c.session_timeout_ms);
            out.set_timer(key, i64::from(timeout_ms));
        }
        let key = TimerKey::Revocation {
            group: group.id.clone(),
            member: id.clone(),
        };
        let revokes = member.current.state == super::member::MemberState::UnrevokedPartitions;
        if revokes && !member.is_classic() && !out.timers.is_set(&key) {
            out.set_timer(key, i64::from(member.metadata.rebalance_timeout_ms));
        }
    }
}

/// What follows an operation that has turned the group into another one concerns that one.
fn flush_if_converted(batch: &Batch) -> Next {
    match batch.after {
        After::Nothing => Next::Done,
        After::Delete | After::BecomeClassic(..) => Next::Flush,
    }
}

fn refused(refusal: Refusal) -> Response {
    let message = Some(refusal.message);
    Response::ConsumerHeartbeat(ConsumerHeartbeatResponse::error(refusal.error, message))
}

/// The answer to an operation that was not written.
pub(crate) fn failed(response: Response, error: ErrorCode) -> Response {
    match response {
        Response::ConsumerHeartbeat(_) => {
            Response::ConsumerHeartbeat(ConsumerHeartbeatResponse::error(error, None))
        }
        Response::Join(join) => Response::Join(JoinResponse::error(error, join.member_id)),
        Response::Sync(_) => Response::Sync(SyncResponse::error(error)),
        Response::Heartbeat(_) => Response::Heartbeat(error),
        Response::Leave(_) => {
            let members = Vec::new();
            Response::Leave(LeaveResponse { error, members })
        }
        Response::DeleteGroup(_) => Response::DeleteGroup(error),
        other => other,
    }
}
