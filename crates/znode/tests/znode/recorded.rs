//! What a real ZooKeeper 3.9.4 answered, request by request, is what this state answers.
//!
//! The files in `tests/recorded` were recorded from a single server with three clients that sent
//! random requests one after the other: one without an identity, one with a digest, one as `super`.
//! Such a file is, compressed, a list of
//!
//! ```text
//!   | kind (1) | client (1) | length (4) | bytes |
//! ```
//!
//! 0 is a connect response, 1 a request, 2 its reply, 3 an event, 4 the credentials that a client
//! has sent with `auth`. Times, and the order of what ZooKeeper keeps in no order, are left out of
//! the comparison.

use std::io::Read;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_jute::{
    ConnectResponse, ErrorCode, EventType, Id, MultiResult, OpCode, Reader, Record, ReplyHeader,
    Request, RequestHeader, Response, SetWatches2, Stat, WatcherEvent, Writer, perms,
};
use ottla_znode::{
    Access, Closing, Command, Fired, Operation, Outcome, Owner, Reply, Requester, Rules, State,
    WatchMode, Watches, allows, client_info,
};

struct Client {
    session: i64,
    owner: Owner,
    identities: Vec<Id>,
}

/// What the server was started with.
const RULES: Rules = Rules {
    enforce_quota: true,
    skip_acl: false,
    extended_types: true,
    digest: true,
    sasl: false,
    x509: false,
};

struct Replay {
    state: State,
    watches: Watches,
    clients: Vec<Option<Client>>,
    attachments: u64,
    /// Type, path and zxid of what each client should have been told in this step.
    events: Vec<Vec<(i32, String, i64)>>,
}

fn identities(credentials: &[u8]) -> Vec<Id> {
    match credentials {
        b"u:p" => vec![Id::new("digest", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=")],
        b"super:test" => vec![
            Id::new("super", ""),
            Id::new("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
        ],
        other => panic!("{other:?}"),
    }
}

fn without_times(stat: &mut Stat) {
    (stat.ctime, stat.mtime) = (0, 0);
}

/// What can be compared.
fn comparable(mut response: Response) -> Response {
    match &mut response {
        Response::Create2 { stat, .. }
        | Response::Stat(stat)
        | Response::GetData { stat, .. }
        | Response::GetAcl { stat, .. } => without_times(stat),
        Response::GetChildren { children } => children.sort(),
        Response::GetChildren2 { children, stat } => {
            children.sort();
            without_times(stat);
        }
        Response::GetEphemerals { ephemerals } => ephemerals.sort(),
        Response::Multi(results) => {
            for result in results {
                match result {
                    MultiResult::Create2 { stat, .. }
                    | MultiResult::SetData(stat)
                    | MultiResult::GetData { stat, .. } => without_times(stat),
                    MultiResult::GetChildren(children) => children.sort(),
                    _ => {}
                }
            }
        }
        Response::WhoAmI { client_info } => {
            client_info.sort_by_key(|info| info.auth_scheme.clone());
        }
        _ => {}
    }
    response
}

type Answer = Result<Response, ErrorCode>;

impl Replay {
    fn client(&self, index: usize) -> &Client {
        self.clients[index].as_ref().expect("connected")
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let outcome = self.state.apply(0, 1_700_000_000_000, command, RULES);
        let fired = self.watches.fire(&outcome.changes);
        self.tell(&fired, outcome.zxid);
        outcome
    }

    fn tell(&mut self, fired: &[Fired], zxid: i64) {
        for event in fired {
            for watcher in &event.watchers {
                let index = *watcher as usize;
                let reader = &self.client(index).identities;
                if allows(&event.acl, perms::READ, reader, RULES) {
                    let told = (event.kind.code(), event.path.to_string(), zxid);
                    self.events[index].push(told);
                }
            }
        }
    }

    fn connect(&mut self, index: usize, response: &ConnectResponse) {
        self.attachments += 1;
        let owner = Owner {
            server: 1,
            attach: self.attachments,
        };
        let session = response.session_id;
        let password = response.password.as_deref().unwrap();
        let outcome = self.apply(&Command::OpenSession {
            session,
            password: password.try_into().unwrap(),
            timeout_ms: response.timeout_ms,
            owner,
        });
        assert!(outcome.reply.is_ok());
        self.clients[index] = Some(Client {
            session,
            owner,
            identities: vec![Id::new("ip", "127.0.0.1")],
        });
    }

    fn answer(&mut self, index: usize, cxid: i32, request: Request) -> Answer {
        let (session, owner) = (self.client(index).session, self.client(index).owner);
        let identities = self.client(index).identities.clone();
        if State::is_read(request.op_code()) {
            return self.read(index, session, &identities, &request);
        }
        if request == Request::CloseSession {
            let outcome = self.apply(&Command::CloseSession {
                session,
                owner: Some(owner),
                closing: Closing::ByClient,
            });
            self.watches.remove_watcher(index as u64);
            return outcome.reply.map(|_| Response::Empty);
        }
        match Operation::try_from(request) {
            Ok(operation) => {
                let requester = Requester {
                    session,
                    owner,
                    cxid,
                    identities: Arc::from(identities),
                };
                let command = Command::Write {
                    requester,
                    operation,
                };
                match self.apply(&command).reply? {
                    Reply::Response(response) => Ok(response),
                    other => panic!("{other:?}"),
                }
            }
            Err(Request::WhoAmI) => Ok(Response::WhoAmI {
                client_info: client_info(&identities, RULES),
            }),
            Err(request) => self.watch(index as u64, request),
        }
    }

    fn read(&mut self, index: usize, session: i64, identities: &[Id], request: &Request) -> Answer {
        let access = Access {
            session,
            identities,
            rules: RULES,
        };
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out);
        let answered = self.state.answer(request, access, &mut writer);
        let watch = match request {
            Request::Exists(read) if read.watch => Some((&read.path, WatchMode::Data)),
            Request::GetData(read) if read.watch => Some((&read.path, WatchMode::Data)),
            Request::GetChildren(read) | Request::GetChildren2(read) if read.watch => {
                Some((&read.path, WatchMode::Children))
            }
            _ => None,
        };
        // A node that is not there can be watched, but only by `exists`.
        let for_absent = matches!(request, Request::Exists(_));
        if let Some((path, mode)) = watch
            && (answered.is_ok() || answered == Err(ErrorCode::NoNode) && for_absent)
        {
            self.watches.add(path, index as u64, mode);
        }
        answered?;
        Ok(Response::decode(request.op_code(), &out.freeze()).unwrap())
    }

    fn watch(&mut self, watcher: u64, request: Request) -> Answer {
        let existed = |existed: bool| {
            if existed {
                Ok(Response::Empty)
            } else {
                Err(ErrorCode::NoWatcher)
            }
        };
        match request {
            Request::AddWatch(add) => {
                self.watches.add(&add.path, watcher, add.mode.into());
                Ok(Response::Error { err: 0 })
            }
            Request::CheckWatches(check) => {
                existed(self.watches.contains(&check.path, watcher, check.kind))
            }
            Request::RemoveWatches(remove) => {
                existed(self.watches.remove(&remove.path, watcher, remove.kind))
            }
            Request::SetWatches(set) => self.set_watches(
                watcher,
                &SetWatches2 {
                    relative_zxid: set.relative_zxid,
                    data_watches: set.data_watches,
                    exist_watches: set.exist_watches,
                    child_watches: set.child_watches,
                    persistent_watches: vec![],
                    persistent_recursive_watches: vec![],
                },
            ),
            Request::SetWatches2(set) => self.set_watches(watcher, &set),
            other => panic!("{other:?}"),
        }
    }

    fn set_watches(&mut self, watcher: u64, set: &SetWatches2) -> Answer {
        let missed = self.watches.set_watches(&self.state, watcher, set);
        let told = missed
            .into_iter()
            .map(|(kind, path)| (kind.code(), path, -1));
        self.events[watcher as usize].extend(told);
        Ok(Response::Empty)
    }
}

/// The items of a recording: kind, client, bytes.
fn items(recording: &[u8]) -> Vec<(u8, usize, Bytes)> {
    let reader = &mut Reader::new(recording);
    let mut items = Vec::new();
    while reader.remaining() > 0 {
        let (kind, client) = (reader.byte().unwrap(), reader.byte().unwrap());
        let bytes = reader.slice_or_null().unwrap().unwrap();
        items.push((kind, client.into(), Bytes::copy_from_slice(bytes)));
    }
    items
}

/// Replays a recording; how many requests it has, and how many of them succeeded.
fn replay(recording: &[u8]) -> (usize, usize) {
    let mut replay = Replay {
        state: State::new(),
        watches: Watches::new(),
        clients: vec![None, None, None],
        attachments: 0,
        events: vec![vec![], vec![], vec![]],
    };
    let (mut requests, mut succeeded) = (0, 0);
    let mut pending: Option<(RequestHeader, String, Answer)> = None;
    let mut step = String::new();
    let mut told: Vec<Vec<(i32, String, i64)>> = vec![vec![], vec![], vec![]];
    for (kind, index, bytes) in items(recording) {
        match kind {
            0 => {
                compare_events(&step, &mut told, &mut replay.events);
                replay.connect(index, &ConnectResponse::decode(&bytes).unwrap());
            }
            1 => {
                compare_events(&step, &mut told, &mut replay.events);
                let mut reader = Reader::shared(&bytes);
                let header = RequestHeader::read(&mut reader).unwrap();
                let op = OpCode::try_from(header.op).unwrap();
                let request = Request::read(op, &mut reader);
                requests += 1;
                step = format!("request {requests} of client {index}: {request:?}");
                let answer = match request {
                    Ok(request) => replay.answer(index, header.xid, request),
                    Err(_) => Err(ErrorCode::MarshallingError),
                };
                pending = Some((header, step.clone(), answer));
            }
            2 => {
                let (header, step, answer) = pending.take().unwrap();
                let mut reader = Reader::shared(&bytes);
                let theirs = ReplyHeader::read(&mut reader).unwrap();
                let err = answer.as_ref().err().map_or(0, |error| error.code());
                let zxid = replay.state.last_zxid();
                let ours = ReplyHeader {
                    xid: header.xid,
                    zxid,
                    err,
                };
                assert_eq!(ours, theirs, "{step}");
                if let Ok(ours) = answer {
                    succeeded += 1;
                    let op = OpCode::try_from(header.op).unwrap();
                    let theirs = Response::read(op, &mut reader).unwrap();
                    assert_eq!(comparable(ours), comparable(theirs), "{step}");
                }
            }
            3 => {
                let mut reader = Reader::shared(&bytes);
                let header = ReplyHeader::read(&mut reader).unwrap();
                let event = WatcherEvent::read(&mut reader).unwrap();
                EventType::try_from(event.kind).unwrap();
                told[index].push((event.kind, event.path, header.zxid));
            }
            4 => {
                let client = replay.clients[index].as_mut().unwrap();
                client.identities.extend(identities(&bytes));
            }
            other => panic!("{other}"),
        }
    }
    compare_events(&step, &mut told, &mut replay.events);
    replay.state.check().unwrap();
    replay.watches.check().unwrap();
    (requests, succeeded)
}

type Told = Vec<Vec<(i32, String, i64)>>;

fn compare_events(step: &str, theirs: &mut Told, ours: &mut Told) {
    if step.contains("CloseSession") {
        // ZooKeeper deletes the nodes of a session in no order.
        theirs
            .iter_mut()
            .chain(ours.iter_mut())
            .for_each(|told| told.sort());
    }
    assert_eq!(theirs, ours, "told after {step}");
    theirs
        .iter_mut()
        .chain(ours.iter_mut())
        .for_each(Vec::clear);
}

#[test]
fn a_recorded_zookeeper_gave_the_same_answers() {
    let folder = format!("{}/tests/recorded", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap();
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let mut recording = Vec::new();
        let file = std::fs::File::open(&path).unwrap();
        let mut file = flate2::read::GzDecoder::new(file);
        file.read_to_end(&mut recording).unwrap();
        let (requests, succeeded) = replay(&recording);
        assert!(
            requests >= 3000 && succeeded >= 1000,
            "{}: {succeeded} of {requests}",
            path.display()
        );
        count += 1;
    }
    assert!(count > 0, "{folder} lacks its recordings");
}
