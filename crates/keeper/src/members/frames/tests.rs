use ottla_runtime::Runtime;
use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};

use super::*;

const LONG: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_secs(5);

fn reader(io: DuplexStream, limit: usize) -> FrameReader<DuplexStream> {
    FrameReader::new(io, &Runtime::real().clock, limit, LONG)
}

fn body(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order_with_their_numbers() {
    let (near, far) = duplex(1_000);
    let (outbox, end) = outbox(1 << 20);
    let sizes = [1, 10, COPIED_MAX, COPIED_MAX + 1, 300_000, 5, 700_000, 64];
    let sending = async move {
        for (number, len) in sizes.into_iter().enumerate() {
            let room = outbox.room(len).await.unwrap();
            let number = (number % 2 == 0).then_some(number as u64);
            assert!(outbox.put(room, number, body(len)));
        }
    };
    let clock = Runtime::real().clock;
    let writing = write_frames(near, end, &clock, BEAT);
    let reading = async move {
        let mut reader = reader(far, 1 << 20);
        for (at, len) in sizes.into_iter().enumerate() {
            let mut frame = reader.next().await.unwrap();
            if at % 2 == 0 {
                assert_eq!(frame.get_u64(), at as u64);
            }
            assert_eq!(frame, body(len));
        }
        assert!(matches!(reader.next().await, Err(Broken::Closed)));
    };
    let ((), written, ()) = tokio::join!(sending, writing, reading);
    written.unwrap();
}

#[tokio::test]
async fn room_is_given_back_when_frames_are_written_or_the_connection_has_ended() {
    let (near, far) = duplex(64);
    let (outbox, end) = outbox(1_000);
    // A frame that is larger than all of it takes all of it.
    let room = outbox.room(5_000).await.unwrap();
    outbox.put(room, None, body(5_000));
    let mut waiting = Box::pin(outbox.room(1));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    let clock = Runtime::real().clock;
    let mut writing = Box::pin(write_frames(near, end, &clock, BEAT));
    assert!(futures_util::poll!(writing.as_mut()).is_pending());
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    let mut reader = reader(far, 5_000);
    let read = tokio::select! {
        read = reader.next() => read,
        written = &mut writing => panic!("{written:?}"),
    };
    assert_eq!(read.unwrap(), body(5_000));
    let room = tokio::select! {
        room = waiting => room,
        written = &mut writing => panic!("{written:?}"),
    };
    let mut waiting = Box::pin(outbox.room(1_000));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    drop(writing);
    assert!(waiting.await.is_none());
    assert!(!outbox.put(room.unwrap(), None, body(1)));
}

#[tokio::test]
async fn a_frame_beyond_the_limit_is_refused_by_its_length_alone() {
    let (mut near, far) = duplex(64);
    near.write_all(&[0, 0, 0, 9]).await.unwrap();
    let mut reader = reader(far, 8);
    let error = reader.next().await.unwrap_err();
    assert!(
        matches!(error, Broken::TooLarge { len: 9, limit: 8 }),
        "{error}"
    );
}

#[tokio::test]
async fn memory_is_taken_only_as_bytes_arrive() {
    let (mut near, far) = duplex(64);
    near.write_all(&(60_u32 << 20).to_be_bytes()).await.unwrap();
    near.write_all(&[1; 32]).await.unwrap();
    drop(near);
    let mut reader = reader(far, 64 << 20);
    assert!(matches!(reader.next().await, Err(Broken::Cut)));
    assert!(
        reader.buffer.capacity() <= 2 * READ_STEP,
        "{}",
        reader.buffer.capacity()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_dead_and_signs_of_life_keep_it() {
    let clock = Runtime::real().clock;
    let began = clock.instant();
    let (near, far) = duplex(64);
    let (outbox, end) = outbox(1_000);
    let mut reader = reader(far, 8);
    let living = async {
        clock.sleep(4 * LONG).await;
        drop(outbox);
    };
    let (read, written, ()) =
        tokio::join!(reader.next(), write_frames(near, end, &clock, BEAT), living);
    written.unwrap();
    assert!(matches!(read, Err(Broken::Closed)), "{read:?}");
    assert!(clock.instant() - began >= 4 * LONG);

    let (_silent, far) = duplex(64);
    let began = clock.instant();
    let mut reader = FrameReader::new(far, &clock, 8, LONG);
    assert!(matches!(reader.next().await, Err(Broken::Silent(_))));
    assert!(clock.instant() - began < LONG + BEAT);
}

#[tokio::test(start_paused = true)]
async fn what_has_come_counts_although_nobody_asked_for_it_for_long() {
    let clock = Runtime::real().clock;
    let (mut near, far) = duplex(64);
    let mut reader = reader(far, 8);
    near.write_all(&[0, 0, 0, 1, 7]).await.unwrap();
    clock.sleep(10 * LONG).await;
    assert_eq!(reader.next().await.unwrap(), Bytes::from_static(&[7]));
}

proptest! {
    #[test]
    fn random_bytes_are_frames_or_an_error(bytes in proptest::collection::vec(0..4_u8, 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut near, far) = duplex(7);
            let sent = bytes.clone();
            let sending = async move {
                // The reader may have gone away.
                drop(near.write_all(&sent).await);
            };
            let reading = async move {
                let mut reader = reader(far, 64);
                let mut total = 0;
                loop {
                    match reader.next().await {
                        Ok(frame) => total += frame.len(),
                        Err(Broken::Silent(_) | Broken::Io(_) | Broken::Other(_)) => return None,
                        Err(_) => return Some(total),
                    }
                }
            };
            let ((), total) = tokio::join!(sending, reading);
            assert!(total.is_some_and(|total| total <= bytes.len()));
        });
    }
}
