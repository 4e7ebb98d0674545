//! Messages of raft: begun in the order in which they come, and answered when they are done.

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ottla_raft::{Handle, NodeId};

use super::{Reader, Reception, Writer};
use crate::members::frames::{Broken, Outbox, outbox, write_frames};
use crate::members::link::NUMBER_BYTES;

/// How many messages of one connection may be in work, and how many bytes. What is beyond waits in
/// the network.
const IN_WORK_MAX: usize = 256;
const IN_WORK_BYTES_MAX: usize = 32 << 20;
/// The bytes of answers that may wait for the network.
const ANSWERS_BYTES: usize = 4 << 20;

impl Reception {
    pub(super) async fn serve_raft(
        &self,
        from: NodeId,
        mut reader: Reader,
        writer: Writer,
    ) -> Result<(), Broken> {
        let here = &self.here;
        let Some(raft) = here.host.raft() else {
            let reason = format!("server {} has no group yet", here.id);
            return Err(Broken::Other(reason));
        };
        reader.set_limits(NUMBER_BYTES + here.limits.frame_bytes_max, here.silence());
        let (outbox, end) = outbox(ANSWERS_BYTES);
        // The member's futures are large.
        tokio::select! {
            biased;
            served = Box::pin(self.work(from, &raft, &mut reader, outbox)) => served,
            written = write_frames(writer, end, &here.runtime.clock, here.beat()) => written,
        }
    }

    async fn work(
        &self,
        from: NodeId,
        raft: &Handle,
        reader: &mut Reader,
        outbox: Outbox,
    ) -> Result<(), Broken> {
        // It polls what is new in the order in which it was put in.
        let mut in_work = FuturesUnordered::new();
        let mut bytes = 0;
        loop {
            let has_room = in_work.len() < IN_WORK_MAX && bytes < IN_WORK_BYTES_MAX;
            tokio::select! {
                biased;
                Some((number, len, answer)) = in_work.next(), if !in_work.is_empty() => {
                    bytes -= len;
                    let answer: Bytes = answer?;
                    let room = outbox.room(NUMBER_BYTES + answer.len()).await;
                    let room = room.ok_or(Broken::Closed)?;
                    outbox.put(room, Some(number), answer);
                }
                message = reader.next(), if has_room => {
                    let mut message = message?;
                    if message.len() < NUMBER_BYTES {
                        let len = message.len();
                        return Err(Broken::Other(format!("a message of {len} bytes is none")));
                    }
                    let (number, len) = (message.get_u64(), message.len());
                    self.here.heard(from);
                    bytes += len;
                    in_work.push(async move {
                        let answer = raft.receive(message).await;
                        (number, len, answer.map_err(|error| Broken::Other(error.to_string())))
                    });
                }
            }
        }
    }
}
