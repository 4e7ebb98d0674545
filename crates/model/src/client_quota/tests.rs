use super::*;

fn parse(parts: &[(&str, Option<&str>)]) -> Result<ClientQuotaEntity, InvalidEntity> {
    ClientQuotaEntity::from_parts(parts.iter().copied())
}

#[test]
fn every_entity_comes_back_from_its_parts() {
    let named = |n: &str| EntityName::Named(n.to_owned());
    for entity in [
        ClientQuotaEntity::User(EntityName::Default),
        ClientQuotaEntity::ClientId(named("<default>")),
        ClientQuotaEntity::UserClientId(named("a"), EntityName::Default),
        ClientQuotaEntity::UserClientId(EntityName::Default, named("b")),
        ClientQuotaEntity::Ip(named("::1")),
    ] {
        let again = ClientQuotaEntity::from_parts(entity.parts());
        assert_eq!(again, Ok(entity));
    }
}

#[test]
fn parts_that_make_no_entity_are_refused() {
    assert_eq!(parse(&[]), Err(InvalidEntity::Empty));
    for (parts, error) in [
        (
            vec![("topic", Some("a"))],
            InvalidEntity::UnknownType("topic".into()),
        ),
        (
            vec![("user", None), ("user", Some("a"))],
            InvalidEntity::Twice("user".into()),
        ),
        (
            vec![("client-id", Some(""))],
            InvalidEntity::EmptyName("client-id".into()),
        ),
        (
            vec![("ip", None), ("client-id", None)],
            InvalidEntity::IpWithOthers,
        ),
        (
            vec![("ip", Some("localhost"))],
            InvalidEntity::NotAnAddress("localhost".into()),
        ),
    ] {
        assert_eq!(parse(&parts), Err(error));
    }
}

#[test]
fn values_have_kafkas_bounds() {
    let ok = |key: QuotaKey, value: f64| key.check(QuotaValue(value)).is_ok();
    for key in QuotaKey::ALL {
        assert!(ok(key, 1.0) && ok(key, 7.0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!ok(key, bad), "{} = {bad}", key.name());
        }
        assert_eq!(QuotaKey::parse(key.name()), Some(key));
    }
    assert!(ok(QuotaKey::RequestPercentage, 0.5) && ok(QuotaKey::ControllerMutationRate, 0.5));
    assert!(!ok(QuotaKey::ProducerByteRate, 1.5) && !ok(QuotaKey::ConsumerByteRate, 1e19));
    assert!(!ok(QuotaKey::ConnectionCreationRate, 2_147_483_648.0));
    assert!(ok(QuotaKey::ConnectionCreationRate, 2_147_483_647.0));
}

#[test]
fn addresses_have_their_own_key_and_only_that() {
    let ip = ClientQuotaEntity::Ip(EntityName::Default);
    let user = ClientQuotaEntity::User(EntityName::Default);
    for key in QuotaKey::ALL {
        assert_ne!(key.applies_to(&ip), key.applies_to(&user));
    }
}
