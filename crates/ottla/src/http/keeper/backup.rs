//! AdminServer's `snapshot` and `restore`, whose bodies are as large as the keeper's state.

use std::convert::Infallible;
use std::io::{self, Read};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use ottla_keeper::Handle;
use ottla_keeper::admin::{AdminAnswer, Query};
use ottla_keeper::backup::{Backup, Caller};
use ottla_runtime::Runtime;
use tokio::sync::mpsc;

use super::json;
use crate::http::accept::Peer;

/// What `restore` demands of the state that it replaces; not a parameter of ZooKeeper's.
const ONLY_IF_EMPTY: &str = "onlyIfEmpty";
/// So many pieces of a body wait to be read.
const PIECES: usize = 8;

fn caller(peer: &Peer, headers: &HeaderMap) -> Caller {
    let authorization = headers.get(header::AUTHORIZATION);
    // Passwords may have any letters.
    let authorization = authorization.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    Caller {
        address: peer.address.ip(),
        authorization: authorization.map(str::to_owned),
    }
}

fn is_true(query: &Query, name: &str) -> Option<bool> {
    let value = query.get(name)?;
    Some(value.eq_ignore_ascii_case("true"))
}

/// Sends a backup; with `streaming=false` only what it would be.
pub(super) async fn snapshot(
    runtime: &Runtime,
    handle: Handle,
    peer: &Peer,
    headers: &HeaderMap,
    query: &Query,
) -> Response {
    let caller = caller(peer, headers);
    let counting = runtime.tasks.blocking(move || handle.backup(&caller));
    let backup = match counting.await {
        Ok(backup) => backup,
        Err(answer) => return json(answer),
    };
    let told = [
        ("last_zxid", format!("0x{:x}", backup.last_zxid)),
        ("snapshot_size", backup.bytes.to_string()),
    ];
    if is_true(query, "streaming") == Some(false) {
        let json = "{\n  \"command\" : \"snapshot\",\n  \"error\" : null\n}".to_owned();
        return (told, super::json(AdminAnswer { status: 200, json })).into_response();
    }
    let framing = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, backup.bytes.to_string()),
    ];
    (told, framing, body(backup)).into_response()
}

fn body(backup: Backup) -> Body {
    let parts = stream::iter(backup.parts).map(Ok::<Bytes, Infallible>);
    Body::from_stream(parts)
}

/// Replaces the state of the ensemble by the body.
pub(super) async fn restore(
    handle: Handle,
    peer: &Peer,
    request: Request,
    query: &Query,
) -> Response {
    // The caller may have nothing to say for longer than others may be silent.
    let _working = peer.work();
    let caller = caller(peer, request.headers());
    let only_if_empty = is_true(query, ONLY_IF_EMPTY).unwrap_or(false);
    let (sender, receiver) = mpsc::channel(PIECES);
    let pieces = Pieces {
        receiver,
        piece: Bytes::new(),
    };
    let restoring = handle.restore(&caller, pieces, only_if_empty);
    let (answer, ()) = tokio::join!(restoring, pump(request.into_body(), sender));
    json(answer)
}

/// Hands the body over piece by piece. One that was begun is taken to its end, so that whoever sends
/// it comes to read the answer; one that nobody wants is never asked for.
async fn pump(body: Body, to: mpsc::Sender<io::Result<Bytes>>) {
    let mut body = body.into_data_stream();
    let mut begun = false;
    while let Ok(place) = to.reserve().await {
        match body.next().await {
            Some(piece) => place.send(piece.map_err(io::Error::other)),
            None => return,
        }
        begun = true;
    }
    while begun && matches!(body.next().await, Some(Ok(_))) {}
}

/// A body that is read on a thread that may wait.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(out.len());
        let taken = self.piece.split_to(count);
        if let Some(out) = out.get_mut(..count) {
            out.copy_from_slice(&taken);
        }
        Ok(count)
    }
}
