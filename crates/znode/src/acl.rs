//! Who may do what: entries of ACLs are checked when they are set, and compared with the identities
//! of a connection when something is done (`PrepRequestProcessor.fixupACL`,
//! `ZooKeeperServer.checkACL`, the providers in `server.auth`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ottla_jute::{Acl, ClientInfo, ErrorCode, Id, perms};

use crate::rules::Rules;

/// Whether the ACL gives one of the permissions to one of the identities. An empty ACL gives
/// everything to everyone, and so does the identity `super`.
#[must_use]
pub fn allows(acl: &[Acl], perms: i32, identities: &[Id], rules: Rules) -> bool {
    if rules.skip_acl || acl.is_empty() {
        return true;
    }
    if identities.iter().any(|id| id.scheme == "super") {
        return true;
    }
    acl.iter()
        .filter(|entry| entry.perms & perms != 0)
        .any(|entry| {
            is_anyone(&entry.id) || identities.iter().any(|id| matches(id, &entry.id, rules))
        })
}

/// As [`allows`], with ZooKeeper's error.
pub(crate) fn check(
    acl: &[Acl],
    perms: i32,
    identities: &[Id],
    rules: Rules,
) -> Result<(), ErrorCode> {
    if allows(acl, perms, identities, rules) {
        Ok(())
    } else {
        Err(ErrorCode::NoAuth)
    }
}

fn is_anyone(id: &Id) -> bool {
    id.scheme == "world" && id.id == "anyone"
}

/// Whether the connection's identity is the one that the entry means.
fn matches(identity: &Id, entry: &Id, rules: Rules) -> bool {
    if identity.scheme != entry.scheme || !rules.knows_scheme(&entry.scheme) {
        return false;
    }
    match entry.scheme.as_str() {
        "ip" => in_network(&identity.id, &entry.id),
        "sasl" => identity.id == "super" || identity.id == entry.id,
        _ => identity.id == entry.id,
    }
}

/// Whether a connection has proved this identity: an address alone proves nothing.
fn is_proved(identity: &Id, rules: Rules) -> bool {
    identity.scheme != "ip" && rules.knows_scheme(&identity.scheme)
}

/// Checks an ACL that somebody wants to set, leaves out what is repeated, and replaces `auth` by
/// the identities that the connection has proved.
pub(crate) fn fix(acl: &[Acl], identities: &[Id], rules: Rules) -> Result<Vec<Acl>, ErrorCode> {
    let mut fixed = Vec::with_capacity(acl.len());
    for (index, entry) in acl.iter().enumerate() {
        if acl[..index].contains(entry) {
            continue;
        }
        let id = &entry.id;
        if is_anyone(id) {
            fixed.push(entry.clone());
        } else if id.scheme == "auth" {
            let before = fixed.len();
            let proved = identities.iter().filter(|id| is_proved(id, rules));
            fixed.extend(proved.map(|id| Acl::new(entry.perms, id.clone())));
            if fixed.len() == before {
                return Err(ErrorCode::InvalidAcl);
            }
        } else if rules.knows_scheme(&id.scheme) && is_valid(id) {
            fixed.push(entry.clone());
        } else {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    if fixed.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    Ok(fixed)
}

/// Whether the scheme can have such a name.
fn is_valid(id: &Id) -> bool {
    match id.scheme.as_str() {
        "ip" => network(&id.id).is_some(),
        "digest" => has_two_parts(&id.id),
        "sasl" => is_kerberos_name(&id.id),
        "x509" => is_distinguished_name(&id.id),
        _ => false,
    }
}

/// A user and a digest. Java's `split` does not count empty parts at the end.
fn has_two_parts(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2 && !id.is_empty()
}

/// `KerberosName`: without an `@` any name will do, with one its shape is `service/host@realm`.
fn is_kerberos_name(id: &str) -> bool {
    let Some((name, realm)) = id.split_once('@') else {
        return true;
    };
    !realm.contains(['/', '@']) && name.matches('/').count() <= 1
}

/// `X500Principal`: attributes with values, separated by commas (RFC 2253).
fn is_distinguished_name(id: &str) -> bool {
    if id.trim().is_empty() {
        return true;
    }
    let mut quoted = false;
    let mut escaped = false;
    let mut parts = vec![String::new()];
    for c in id.chars() {
        let separates = matches!(c, ',' | ';' | '+') && !quoted && !escaped;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        match parts.last_mut() {
            Some(part) if !separates => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    let is_attribute = |part: &String| {
        part.split_once('=').is_some_and(|(kind, _)| {
            let kind = kind.trim();
            !kind.is_empty()
                && kind
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
        })
    };
    !quoted && !escaped && parts.iter().all(is_attribute)
}

/// An address or a network: the address and the number of bits that count.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address = address_of(address)?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= all)?,
        None => all,
    };
    Some((address, bits))
}

/// Reads an address as `IPAuthenticationProvider` does: numbers may have zeros in front, and an
/// IPv6 address has no part in the notation of IPv4 and no zone.
fn address_of(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        let plain = text.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
        return plain
            .then(|| text.parse::<Ipv6Addr>().ok())
            .flatten()
            .map(IpAddr::V6);
    }
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = parts.next()?.parse().ok()?;
    }
    parts
        .next()
        .is_none()
        .then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

fn in_network(address: &str, entry: &str) -> bool {
    let (Some(address), Some((network, bits))) = (address_of(address), network(entry)) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = u32::from(address) ^ u32::from(network);
            differ.leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = u128::from(address) ^ u128::from(network);
            differ.leading_zeros() >= bits
        }
        _ => false,
    }
}

/// A connection's identities as `whoAmI` shows them: without secrets (`AuthUtil.getClientInfos`).
#[must_use]
pub fn client_info(identities: &[Id], rules: Rules) -> Vec<ClientInfo> {
    let user = |id: &Id| match id.scheme.as_str() {
        scheme if !rules.knows_scheme(scheme) => String::new(),
        "digest" => id.id.split(':').next().unwrap_or_default().to_owned(),
        _ => id.id.clone(),
    };
    identities
        .iter()
        .map(|id| ClientInfo {
            auth_scheme: id.scheme.clone(),
            user: user(id),
        })
        .collect()
}

/// An ACL as `getACL` shows it: whoever may not administer the node does not see digests.
pub(crate) fn visible(acl: &[Acl], identities: &[Id], rules: Rules) -> Vec<Acl> {
    let mut acl_shown = acl.to_vec();
    if allows(acl, perms::ADMIN, identities, rules) {
        return acl_shown;
    }
    for entry in acl_shown
        .iter_mut()
        .filter(|entry| entry.id.scheme == "digest")
    {
        if let Some((user, _)) = entry.id.id.split_once(':') {
            entry.id.id = format!("{user}:x");
        }
    }
    acl_shown
}

#[cfg(test)]
mod tests;
