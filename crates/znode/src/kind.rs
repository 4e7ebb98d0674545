//! The kind of a node, which ZooKeeper keeps in the field `ephemeralOwner` (`EphemeralType`).
//!
//! ```text
//!   0                    persistent
//!   0x8000000000000000   a container
//!   0xff 0000 <5 bytes>  a node with a time to live, in ms
//!   anything else        the session of an ephemeral node
//! ```

/// What becomes of a node by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stays.
    Persistent,
    /// Goes with its session.
    Ephemeral {
        /// The session.
        session: i64,
    },
    /// Goes some time after its last child.
    Container,
    /// Goes when it was not changed for so long and has no children.
    Ttl {
        /// How long, in ms.
        ttl_ms: i64,
    },
}

const CONTAINER: i64 = i64::MIN;
const EXTENDED: u64 = 0xff00_0000_0000_0000;
const FEATURE: u64 = 0x00ff_ff00_0000_0000;
/// The longest time to live, in ms: about 34 years.
pub const TTL_MS_MAX: i64 = 0x00ff_ffff_ffff;

impl Kind {
    /// Reads the field. Features that no ZooKeeper knows count as a time to live that never ends.
    #[must_use]
    pub fn of_owner(owner: i64) -> Self {
        let bits = owner.cast_unsigned();
        match owner {
            0 => Kind::Persistent,
            CONTAINER => Kind::Container,
            _ if bits & EXTENDED != EXTENDED => Kind::Ephemeral { session: owner },
            _ if bits & FEATURE == 0 => Kind::Ttl {
                ttl_ms: owner & TTL_MS_MAX,
            },
            _ => Kind::Ttl { ttl_ms: i64::MAX },
        }
    }

    /// The field's value.
    #[must_use]
    pub fn owner(self) -> i64 {
        match self {
            Kind::Persistent => 0,
            Kind::Ephemeral { session } => session,
            Kind::Container => CONTAINER,
            Kind::Ttl { ttl_ms } => EXTENDED.cast_signed() | (ttl_ms & TTL_MS_MAX),
        }
    }

    /// What clients see: the session of ephemeral nodes, and 0 for all others.
    #[must_use]
    pub fn visible_owner(self) -> i64 {
        match self {
            Kind::Ephemeral { session } => session,
            _ => 0,
        }
    }

    /// Whether a session may have this id: it must not look like another kind.
    #[must_use]
    pub fn is_session_id(id: i64) -> bool {
        Kind::of_owner(id) == Kind::Ephemeral { session: id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_from_the_field() {
        for kind in [
            Kind::Persistent,
            Kind::Container,
            Kind::Ephemeral {
                session: 0x0100_1234_5678_9abc,
            },
            Kind::Ephemeral {
                session: 0xfe00_0000_0000_0001_u64.cast_signed(),
            },
            Kind::Ttl { ttl_ms: 1 },
            Kind::Ttl { ttl_ms: TTL_MS_MAX },
        ] {
            assert_eq!(Kind::of_owner(kind.owner()), kind);
        }
        let ttl = Kind::Ttl { ttl_ms: 5000 }.owner();
        assert_eq!(ttl.cast_unsigned(), 0xff00_0000_0000_1388);
        assert_eq!(Kind::of_owner(ttl).visible_owner(), 0);
    }

    #[test]
    fn a_session_id_looks_like_no_other_kind() {
        assert!(Kind::is_session_id(1));
        assert!(Kind::is_session_id(-2 << 56));
        assert!(!Kind::is_session_id(0));
        assert!(!Kind::is_session_id(i64::MIN));
        assert!(!Kind::is_session_id(-1));
    }
}
