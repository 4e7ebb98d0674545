use super::*;

fn named(name: &str) -> EntityName {
    EntityName::Named(name.to_owned())
}

/// The eight levels, the most specific first; each has its number as its limit.
fn levels() -> Vec<(ClientQuotaEntity, f64)> {
    use ClientQuotaEntity::{ClientId, User, UserClientId};
    use EntityName::Default;
    let entities = [
        UserClientId(named("u"), named("c")),
        UserClientId(named("u"), Default),
        User(named("u")),
        UserClientId(Default, named("c")),
        UserClientId(Default, Default),
        User(Default),
        ClientId(named("c")),
        ClientId(Default),
    ];
    (1..)
        .map(f64::from)
        .zip(entities)
        .map(|(n, e)| (e, n))
        .collect()
}

fn rules(levels: &[(ClientQuotaEntity, f64)]) -> QuotaRules {
    let key = QuotaKey::ProducerByteRate;
    QuotaRules::new(levels.iter().map(|(e, n)| (e, key, QuotaValue(*n))))
}

fn bound(rules: &QuotaRules, user: &str, client_id: &str) -> Option<f64> {
    let limit = rules.limit(QuotaKey::ProducerByteRate, user, client_id);
    limit.map(|limit| limit.bound)
}

#[test]
fn the_most_specific_of_the_eight_levels_holds() {
    let all = levels();
    // Every set of levels, as far as anyone may set them.
    for set in 0u32..256 {
        let chosen: Vec<_> = (0..8)
            .filter(|i| set & (1 << i) != 0)
            .map(|i| all[i].clone())
            .collect();
        let rules = rules(&chosen);
        let first = |wanted: &[u32]| {
            let mut found = wanted.iter().filter(|n| set & (1 << (*n - 1)) != 0);
            found.next().map(|n| f64::from(*n))
        };
        assert_eq!(bound(&rules, "u", "c"), first(&[1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(bound(&rules, "u", "other"), first(&[2, 3, 5, 6, 8]));
        assert_eq!(bound(&rules, "other", "c"), first(&[4, 5, 6, 7, 8]));
        assert_eq!(bound(&rules, "other", "other"), first(&[5, 6, 8]));
        // Kafka knows no limit of client ids for who has none.
        assert_eq!(bound(&rules, "u", ""), first(&[3, 6]));
    }
}

#[test]
fn clients_share_what_their_level_names() {
    let share = |level: usize, user: &'static str, id: &'static str| {
        let rules = rules(&levels()[level - 1..level]);
        let share = rules
            .limit(QuotaKey::ProducerByteRate, user, id)
            .unwrap()
            .share;
        (share.user, share.client_id)
    };
    for level in [1, 2, 4, 5] {
        assert_eq!(share(level, "u", "c"), (Some("u"), Some("c")));
    }
    for level in [3, 6] {
        assert_eq!(share(level, "u", "c"), (Some("u"), None));
    }
    for level in [7, 8] {
        assert_eq!(share(level, "u", "c"), (None, Some("c")));
    }
}

#[test]
fn each_key_has_limits_of_its_own() {
    let rules = rules(&levels());
    assert!(rules.has(QuotaKey::ProducerByteRate) && !rules.has(QuotaKey::ConsumerByteRate));
    assert_eq!(rules.limit(QuotaKey::ConsumerByteRate, "u", "c"), None);
    let ip = ClientQuotaEntity::Ip(EntityName::Default);
    let of_ip = [(&ip, QuotaKey::ConnectionCreationRate, QuotaValue(1.0))];
    assert_eq!(QuotaRules::new(of_ip), QuotaRules::default());
}
