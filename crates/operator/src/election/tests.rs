//! Candidates at an API server in memory, in a time that only tests have.

use super::*;
use crate::testing::Fake;

fn candidate(fake: &Fake, identity: &str) -> Election {
    let identity = identity.to_owned();
    Election::new(fake.client(), Runtime::real(), "ops", identity)
}

fn holder_now(fake: &Fake) -> Option<String> {
    let lease: Lease = fake.get("ops", NAME)?;
    holder(&lease).map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_other_takes_over_when_the_lease_has_ended() {
    let fake = Fake::default();
    let (one, other) = (candidate(&fake, "one"), candidate(&fake, "other"));
    one.win().await;
    assert_eq!(holder_now(&fake).as_deref(), Some("one"));
    let begin = one.runtime.clock.instant();
    // Nobody renews it.
    other.win().await;
    let waited = one.runtime.clock.instant().duration_since(begin);
    assert!(waited >= LEASE && waited < LEASE * 2, "{waited:?}");
    assert_eq!(holder_now(&fake).as_deref(), Some("other"));
    // The first one notices at its next renewal.
    let lost = one.keep().await.to_string();
    assert_eq!(lost, "somebody else has the lease now");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_not_taken() {
    let fake = Fake::default();
    let (one, other) = (candidate(&fake, "one"), candidate(&fake, "other"));
    one.win().await;
    let minute = Duration::from_secs(60);
    let clock = one.runtime.clock.clone();
    tokio::select! {
        error = one.keep() => panic!("{error}"),
        () = other.win() => panic!("two lead"),
        () = clock.sleep(minute) => {}
    }
    assert_eq!(holder_now(&fake).as_deref(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn whoever_resigns_is_not_waited_for() {
    let fake = Fake::default();
    let (one, other) = (candidate(&fake, "one"), candidate(&fake, "other"));
    one.win().await;
    one.resign().await;
    assert_eq!(holder_now(&fake), None);
    let begin = one.runtime.clock.instant();
    other.win().await;
    let waited = one.runtime.clock.instant().duration_since(begin);
    assert!(waited <= LOOK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_a_moment_costs_no_leadership() {
    let fake = Fake::default();
    let one = candidate(&fake, "one");
    one.win().await;
    fake.fail("GET leases/", 500);
    fake.fail("PUT leases/", 500);
    let clock = one.runtime.clock.clone();
    tokio::select! {
        error = one.keep() => panic!("{error}"),
        () = clock.sleep(Duration::from_secs(30)) => {}
    }
    assert_eq!(holder_now(&fake).as_deref(), Some("one"));
}
