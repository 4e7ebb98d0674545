//! What there is on every server when all clients have gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ottla_jute::{GetChildren, GetData, Request, Response, Sync};

use super::{MORTAL, REQUEST_LIMIT, WORKER_TIMEOUT_MS};
use crate::keeper::connection::{Answer, Connection};
use crate::keeper::history::{Tree, Znode};

/// Longer than the sessions that nobody ends, on a machine that has much else to do.
const OVER_LIMIT: Duration = Duration::from_secs(60);
/// A real ZooKeeper writes it at its start, with the time of that.
const OF_EACH_SERVER: &str = "/zookeeper/config";
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Each server's znodes, as soon as nobody's are left and all servers have the same; or as they are
/// when that does not come.
pub(super) fn trees(servers: &[SocketAddr]) -> Result<Vec<Tree>> {
    let deadline = Instant::now() + OVER_LIMIT;
    loop {
        let read: Result<Vec<Tree>> = servers.iter().map(|server| tree(*server)).collect();
        let is_late = Instant::now() > deadline;
        match read {
            Ok(trees) => {
                let is_over = trees.iter().all(is_over);
                let is_alike = trees.windows(2).all(|pair| pair[0] == pair[1]);
                if is_over && is_alike || is_late {
                    return Ok(trees);
                }
            }
            Err(error) if is_late => return Err(error),
            Err(_) => {}
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn is_over(tree: &Tree) -> bool {
    let below = format!("{MORTAL}/");
    !tree.keys().any(|path| path.starts_with(&below))
}

/// All znodes of one server, behind everything that was written anywhere.
fn tree(server: SocketAddr) -> Result<Tree> {
    let timeout_ms = i32::try_from(WORKER_TIMEOUT_MS)?;
    let mut connection = Connection::open(server, timeout_ms, REQUEST_LIMIT)?;
    let path = "/".to_owned();
    ask(&mut connection, &Request::Sync(Sync { path }))?;
    let mut tree = Tree::new();
    let mut unread = vec!["/".to_owned()];
    while let Some(path) = unread.pop() {
        let watch = false;
        let get = Request::GetData(GetData {
            path: path.clone(),
            watch,
        });
        let list = Request::GetChildren(GetChildren {
            path: path.clone(),
            watch,
        });
        let Response::GetData { data, mut stat } = ask(&mut connection, &get)? else {
            bail!("{server} answers another question");
        };
        let Response::GetChildren { children } = ask(&mut connection, &list)? else {
            bail!("{server} answers another question");
        };
        if path == OF_EACH_SERVER {
            stat.mtime = 0;
        }
        let parent = if path == "/" { "" } else { &path };
        unread.extend(children.iter().map(|name| format!("{parent}/{name}")));
        let data = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
        tree.insert(path, Znode { data, stat });
    }
    connection.call(&Request::CloseSession, REQUEST_LIMIT)?;
    Ok(tree)
}

fn ask(connection: &mut Connection, request: &Request) -> Result<Response> {
    match connection.call(request, REQUEST_LIMIT)? {
        Answer::Done { response, .. } => Ok(response),
        Answer::Failed { error, .. } => bail!("{request:?} is answered with {error}"),
        Answer::Lost => bail!("{request:?} is not answered"),
    }
}
