use std::sync::Arc;

use super::*;

fn clock() -> Clock {
    ottla_runtime::Runtime::real().clock
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_pause_lasts_as_long_as_the_longest_that_was_asked_for() {
    let (mute, clock) = (Arc::new(Mute::default()), clock());
    assert!(mute.over(&clock, LONG).await);
    let began = clock.instant();
    mute.until(began + Duration::from_secs(5));
    mute.until(began + Duration::from_secs(3));
    let later = Arc::clone(&mute);
    let (at, end) = (
        began + Duration::from_secs(4),
        began + Duration::from_secs(9),
    );
    let longer = async {
        clock.sleep_until(at).await;
        later.until(end);
    };
    let (is_over, ()) = tokio::join!(mute.over(&clock, LONG), longer);
    assert!(is_over);
    assert_eq!(clock.instant() - began, Duration::from_secs(9));
    assert!(mute.over(&clock, LONG).await);
    assert_eq!(clock.instant() - began, Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_limit_and_can_go_on() {
    let (mute, clock) = (Mute::default(), clock());
    let began = clock.instant();
    mute.until(began + LONG);
    assert!(!mute.over(&clock, LONG / 3).await);
    assert_eq!(clock.instant() - began, LONG / 3);
    assert!(mute.over(&clock, LONG).await);
    assert_eq!(clock.instant() - began, LONG);
}
