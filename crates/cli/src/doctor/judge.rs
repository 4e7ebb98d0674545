//! What the facts mean for clients, and what to change. Pure: the same facts, the same report.

mod cluster;
mod partitions;
mod quorum;

use std::net::IpAddr;

use super::facts::{BrokerAddress, Door, Facts, Failure, Identity};
use super::knock::Speaks;
use super::report::{Check, Status};

/// All checks, in the order in which a client meets what they are about.
pub(super) fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = facts.bootstrap.iter().map(bootstrap).collect();
    if !facts.is_reached() {
        return checks;
    }
    checks.extend(cluster::identity(facts));
    checks.extend(cluster::controller(facts));
    checks.extend(quorum::quorum(facts));
    checks.extend(port_forward(facts));
    checks.extend(
        facts
            .brokers
            .iter()
            .map(|(b, door)| advertised(facts, b, door)),
    );
    checks.extend(duplicates(facts));
    checks.extend(quorum::fenced(facts));
    checks.extend(cluster::discovery(facts));
    checks.extend(cluster::latency(facts));
    checks.extend(partitions::topics(facts));
    checks.extend(partitions::round_trip(facts));
    checks
}

/// One address that the user gave.
fn bootstrap(door: &Door) -> Check {
    let subject = format!("bootstrap {door}");
    let check = |found: String| Check::ok("bootstrap", &subject, found);
    let reason = match &door.resolved {
        Err(reason) => {
            return check(format!("the name does not resolve from here ({reason})")).but(
                Status::Problem,
                "no client on this machine can begin here",
                "check the name for a typing mistake; a name of a Kubernetes service resolves only \
                 inside the cluster: run `ottla doctor` in a pod, or give an outside address",
            );
        }
        Ok(_) => door.dials.iter().find_map(|dial| {
            let failure = dial.outcome.as_ref().err()?;
            Some((dial.ip, failure))
        }),
    };
    match (door.answer(), reason) {
        (Some(answer), None) => {
            let addresses: Vec<String> = door.addresses().iter().map(IpAddr::to_string).collect();
            let release = match answer.metadata_version {
                Some(version) => format!(", metadata.version {version}"),
                None => String::new(),
            };
            check(format!(
                "answers at {} in Kafka's protocol ({} APIs{release})",
                addresses.join(" and "),
                answer.apis
            ))
        }
        (Some(_), Some((ip, failure))) => half_open(check(half(ip, failure)), failure),
        (None, Some((_, failure))) => {
            let (means, remedy) = explained(failure);
            check(words(failure)).but(Status::Problem, means, remedy)
        }
        (None, None) => check("the name has no address".to_owned()).but(
            Status::Problem,
            "no client can begin here",
            "check the name",
        ),
    }
}

fn half(ip: IpAddr, failure: &Failure) -> String {
    format!(
        "answers at one of its addresses, but not at {ip}: {}",
        words(failure)
    )
}

/// A name with several addresses, of which some answer.
fn half_open(check: Check, failure: &Failure) -> Check {
    let (_, remedy) = explained(failure);
    check.but(
        Status::Warning,
        "clients that try this address first wait, or fail, before they try the next",
        format!("remove the address from the name, or make the broker listen there: {remedy}"),
    )
}

/// The address that one broker advertises.
fn advertised(facts: &Facts, broker: &BrokerAddress, door: &Door) -> Check {
    let subject = format!("broker {}", broker.id);
    let check = |found: String| {
        Check::ok(
            "advertised",
            &subject,
            format!("advertises {door}; {found}"),
        )
    };
    let means = format!(
        "clients that need broker {} go to {door} and get nowhere",
        broker.id
    );
    let outside = !facts.bootstrap.iter().any(Door::is_local);
    if door.addresses().iter().any(IpAddr::is_unspecified) || door.port == 0 {
        return check("nobody can connect to this address".to_owned()).but(
            Status::Problem,
            "it says where to listen, not where to go",
            change(facts, broker, "the address of the broker as clients see it"),
        );
    }
    if outside && door.is_local() {
        return check("that is the machine of whoever asks".to_owned()).but(
            Status::Problem,
            format!(
                "every client looks for broker {} on its own machine",
                broker.id
            ),
            change(facts, broker, "the address of the broker as clients see it"),
        );
    }
    if let Err(reason) = &door.resolved {
        let inside = if is_kubernetes(&door.host) {
            "; it looks like a name that exists only inside Kubernetes"
        } else {
            ""
        };
        return check(format!(
            "the name does not resolve from here ({reason}){inside}"
        ))
        .but(
            Status::Problem,
            means,
            change(
                facts,
                broker,
                "a name or an address that resolves where the clients are",
            ),
        );
    }
    let failed = door.dials.iter().find_map(|dial| {
        let failure = dial.outcome.as_ref().err()?;
        Some((dial.ip, failure))
    });
    match (door.answer(), failed) {
        (None, None) => check("the name has no address".to_owned()).but(
            Status::Problem,
            means,
            change(facts, broker, "a name that has an address"),
        ),
        (None, Some((_, failure))) => {
            let (_, remedy) = explained(failure);
            let address = "an address that clients can reach";
            let remedy = format!("{remedy}; or {}", change(facts, broker, address));
            check(words(failure)).but(Status::Problem, means, remedy)
        }
        (Some(_), failed) => {
            if let Some(wrong) = door.dials.iter().find_map(|dial| {
                let answer = dial.outcome.as_ref().ok()?;
                somebody_else(facts, answer)
            }) {
                let means = format!("{means}: requests go to somebody else");
                let address = "an address of its own";
                let remedy = change(facts, broker, address);
                return check(wrong).but(Status::Problem, means, remedy);
            }
            match failed {
                Some((ip, failure)) => half_open(check(half(ip, failure)), failure),
                None => confirmed(broker, door, &check),
            }
        }
    }
}

/// Says so when whoever answers belongs to another cluster, or is another broker.
fn somebody_else(facts: &Facts, answer: &super::facts::Answer) -> Option<String> {
    let ours = facts
        .answer()
        .and_then(|answer| answer.cluster_id.as_deref());
    match (ours, answer.cluster_id.as_deref()) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            return Some(format!(
                "a broker of another cluster answers there: {theirs}, not {ours}"
            ));
        }
        _ => {}
    }
    match &answer.identity {
        Identity::Other(words) => Some(format!("another broker answers there ({words})")),
        _ => None,
    }
}

fn confirmed(broker: &BrokerAddress, door: &Door, check: &dyn Fn(String) -> Check) -> Check {
    let unsure = door.dials.iter().find_map(|dial| match &dial.outcome {
        Ok(answer) => match &answer.identity {
            Identity::Unknown(reason) => Some(reason),
            _ => None,
        },
        Err(_) => None,
    });
    match unsure {
        None => check(format!("broker {} itself answers there", broker.id)),
        Some(reason) => check(format!(
            "a broker of this cluster answers there; whether it is broker {} it does not say \
             ({reason})",
            broker.id
        )),
    }
}

/// A tunnel to one broker: the bootstrap works, and then clients go elsewhere.
fn port_forward(facts: &Facts) -> Option<Check> {
    let door = facts
        .bootstrap
        .iter()
        .find(|d| d.is_local() && d.answer().is_some())?;
    let leads_back = |broker: &Door| broker.is_local() && broker.port == door.port;
    if facts.brokers.iter().any(|(_, broker)| leads_back(broker)) {
        return None;
    }
    let list: Vec<String> = facts
        .brokers
        .iter()
        .map(|(broker, door)| format!("broker {} at {door}", broker.id))
        .collect();
    let found = format!(
        "you connected through {door}, but the cluster advertises {}",
        list.join(", ")
    );
    let check = Check::ok("port-forward", &format!("bootstrap {door}"), found);
    let works = facts
        .brokers
        .iter()
        .all(|(_, broker)| broker.answer().is_some());
    let status = if works {
        Status::Warning
    } else {
        Status::Problem
    };
    let means = "a client asks at the bootstrap address once, and from then on goes to the advertised \
                 ones: a port-forward (kubectl port-forward, ssh -L) does not carry that";
    let remedy = format!(
        "forward to a listener of its own: give the broker one whose entry in advertised.listeners \
         is this end of the tunnel, for example\n\
         listeners=…,LOCAL://:{port} and advertised.listeners=…,LOCAL://localhost:{port}\n\
         (with LOCAL:PLAINTEXT in listener.security.protocol.map), and forward {port}:{port}; with \
         several brokers each needs a port of its own. For more than a look: a NodePort or a \
         LoadBalancer per broker, or run the client in the cluster",
        port = door.port
    );
    Some(check.but(status, means, remedy))
}

/// Two brokers at the same address.
fn duplicates(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, (broker, _)) in facts.brokers.iter().enumerate() {
        let earlier = facts.brokers.get(..index).unwrap_or_default();
        let same = |other: &&(BrokerAddress, Door)| {
            other.0.host.eq_ignore_ascii_case(&broker.host) && other.0.port == broker.port
        };
        if let Some((other, door)) = earlier.iter().find(same) {
            let subject = format!("brokers {} and {}", other.id, broker.id);
            let found = format!("both advertise {door}");
            checks.push(Check::ok("duplicate-address", &subject, found).but(
                Status::Problem,
                "requests for one of them go to the other",
                change(facts, broker, "an address that no other broker has"),
            ));
        }
    }
    checks
}

/// What to write into `advertised.listeners`.
fn change(facts: &Facts, broker: &BrokerAddress, address: &str) -> String {
    let id = broker.id;
    let more = if facts.brokers.len() > 1 {
        ", each broker its own"
    } else {
        ""
    };
    format!(
        "set advertised.listeners of broker {id} (KAFKA_CFG_ADVERTISED_LISTENERS in the containers) \
         so that the listener you connect to names {address}{more}, and restart it"
    )
}

/// A name that the DNS of a Kubernetes cluster gives out, or none that any public DNS would.
fn is_kubernetes(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.ends_with(".svc") || host.ends_with(".local") || host.contains(".svc.")
}

fn words(failure: &Failure) -> String {
    match failure {
        Failure::Refused => "the connection is refused".to_owned(),
        Failure::TimedOut => "nobody answers within the time limit".to_owned(),
        Failure::Reset => "the connection is cut off at once".to_owned(),
        Failure::Unroutable => "there is no route from here".to_owned(),
        Failure::Speaks(Speaks::Tls) => "a TLS port answers, not a plain one".to_owned(),
        Failure::Speaks(Speaks::Http) => "an HTTP server answers".to_owned(),
        Failure::Speaks(Speaks::ZooKeeper) => "a ZooKeeper server answers".to_owned(),
        Failure::NotKafka(reason) => {
            format!("the connection stands, but no Kafka answers ({reason})")
        }
        Failure::Credentials => {
            "Kafka answers, and ends the connection when asked for metadata".to_owned()
        }
        Failure::Other(reason) => reason.clone(),
    }
}

/// What it means, and what to do.
fn explained(failure: &Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::Refused => (
            "the machine is there, and nothing listens on this port",
            "start the broker, or correct the port; it may listen on another interface only \
             (listeners)",
        ),
        Failure::TimedOut => (
            "packets are dropped on the way, or the machine is gone",
            "look at firewalls, network policies and security groups; addresses of pods and of \
             services are reachable only inside the Kubernetes cluster",
        ),
        Failure::Reset => (
            "something on the way, or the listener, does not let this client in",
            "look at the proxy, the service mesh or the load balancer before the broker, and whether \
             it has any broker behind it",
        ),
        Failure::Unroutable => (
            "this machine cannot get to that network",
            "use an address in a network that clients can reach",
        ),
        Failure::Speaks(Speaks::Tls) => (
            "clients need security.protocol=SSL (or SASL_SSL) here; this command speaks no TLS",
            "use the port of a PLAINTEXT listener, or configure the clients for TLS",
        ),
        Failure::Speaks(Speaks::Http) => (
            "it is the port of metrics, health checks or a proxy",
            "use the port of a listener of the broker, 9092 if nothing was changed",
        ),
        Failure::Speaks(Speaks::ZooKeeper) => (
            "clients of Kafka do not speak to ZooKeeper",
            "give the brokers, not ZooKeeper: port 9092 in place of 2181",
        ),
        Failure::NotKafka(_) => (
            "another program has this port, or the broker hangs",
            "look which program listens there, and at the broker's log",
        ),
        Failure::Credentials => (
            "the listener wants credentials (SASL); this command has none",
            "use a listener without SASL, or check with a client that has the credentials",
        ),
        Failure::Other(_) => ("clients fail here, too", "look at the broker's log"),
    }
}
