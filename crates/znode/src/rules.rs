//! What the members of an ensemble must agree upon.

/// Settings that change what a command does. An entry of the log carries them, as its leader has
/// them: members whose configurations differ come to the same state all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether quotas with hard limits are enforced (`enforceQuota`).
    pub enforce_quota: bool,
    /// Whether ACLs are checked by nobody (`skipACL`).
    pub skip_acl: bool,
    /// Whether nodes may have a time to live (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether the scheme `digest` is known (`DigestAuthenticationProvider.enabled`).
    pub digest: bool,
    /// Whether the scheme `sasl` is known (`authProvider.sasl`).
    pub sasl: bool,
    /// Whether the scheme `x509` is known (`authProvider.x509`, or a secure client port).
    pub x509: bool,
}

impl Default for Rules {
    /// ZooKeeper's defaults.
    fn default() -> Self {
        Rules {
            enforce_quota: false,
            skip_acl: false,
            extended_types: false,
            digest: true,
            sasl: false,
            x509: false,
        }
    }
}

impl Rules {
    /// As one byte, for an entry of the log.
    #[must_use]
    pub fn to_bits(self) -> u8 {
        [
            self.enforce_quota,
            self.skip_acl,
            self.extended_types,
            self.digest,
            self.sasl,
            self.x509,
        ]
        .into_iter()
        .enumerate()
        .map(|(bit, on)| u8::from(on) << bit)
        .sum()
    }

    /// Back from the byte; `None` if it has bits without a meaning.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Self> {
        let on = |bit: u8| bits & (1 << bit) != 0;
        (bits < 1 << 6).then(|| Rules {
            enforce_quota: on(0),
            skip_acl: on(1),
            extended_types: on(2),
            digest: on(3),
            sasl: on(4),
            x509: on(5),
        })
    }

    /// Whether entries of ACLs may have this scheme, `world` and `auth` aside.
    #[must_use]
    pub fn knows_scheme(self, scheme: &str) -> bool {
        match scheme {
            "ip" => true,
            "digest" => self.digest,
            "sasl" => self.sasl,
            "x509" => self.x509,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_comes_back_from_its_byte() {
        for bits in 0..64 {
            let rules = Rules::of_bits(bits).expect("all bits have a meaning");
            assert_eq!(rules.to_bits(), bits);
        }
        assert_eq!(Rules::of_bits(64), None);
        assert_eq!(Rules::of_bits(255), None);
    }
}
