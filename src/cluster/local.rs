//! Two roles of one process, connected: the same sessions and frames as over the network, without the socket.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::bulk;
use super::error::{DownReason, LinkError};
use super::frame::Header;
use super::hub::Hub;
use super::session::{Carrier, Session};

/// Bytes of a bulk stream inside the process.
const BULK_PIPE_BYTES: usize = 256 * 1024;

pub(super) fn join(left: &Arc<Hub>, right: &Arc<Hub>) -> Result<(), LinkError> {
    let number = super::hub::random_number()?;
    let left_session = Session::new(left.own.clone(), number, right.own.hello(), true);
    let right_session = Session::new(right.own.clone(), number, left.own.hello(), true);
    left.add(&left_session);
    right.add(&right_session);
    connect(&left_session, &right_session);
    connect(&right_session, &left_session);
    let (left_end, right_end) = tokio::io::duplex(BULK_PIPE_BYTES);
    tokio::spawn(bulk::run(left_session, left_end, true));
    tokio::spawn(bulk::run(right_session, right_end, false));
    Ok(())
}

fn connect(from: &Arc<Session>, to: &Arc<Session>) {
    // Bounded by the sender's write window.
    let (frames, queued) = mpsc::unbounded_channel();
    from.attach(Box::new(Pipe { frames }));
    tokio::spawn(carry(from.clone(), to.clone(), queued));
}

struct Pipe {
    frames: mpsc::UnboundedSender<Vec<u8>>,
}

impl Carrier for Pipe {
    fn send(&self, frame: Vec<u8>) {
        let _ = self.frames.send(frame);
    }
}

async fn carry(from: Arc<Session>, to: Arc<Session>, mut queued: mpsc::UnboundedReceiver<Vec<u8>>) {
    loop {
        let frame = tokio::select! {
            biased;
            () = from.closed.cancelled() => break,
            () = to.closed.cancelled() => break,
            frame = queued.recv() => frame,
        };
        let Some(frame) = frame else { break };
        if poll_fn(|context| to.poll_readable(context)).await.is_err() {
            break;
        }
        from.written(frame.len());
        match Header::decode(&frame) {
            Ok(header) => to.on_frame(header, frame),
            Err(error) => to.close(DownReason::Protocol(error.to_string())),
        }
    }
    from.close(DownReason::Closed);
    to.close(DownReason::Closed);
    from.gone.cancel();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use tokio::io::AsyncReadExt;
    use tokio::sync::{Semaphore, mpsc};
    use uuid::Uuid;

    use super::*;
    use crate::cluster::bulk::{BulkOffer, BulkRequest, BulkSource};
    use crate::cluster::error::{CallError, Refusal, SendError};
    use crate::cluster::handler::LinkHandler;
    use crate::cluster::identity::{NodeIdentity, Role, Standing};
    use crate::cluster::session::locked;
    use crate::cluster::{Cookie, Link, LinkConfig, LinkLimits, Peer};
    use crate::model::id::{Boot, Epoch};

    const ECHO: u16 = 1;
    const NEVER: u16 = 2;

    /// Tells a test what it hears; answers `ECHO`; holds casts back until the gate opens.
    struct Ear {
        told: mpsc::UnboundedSender<Told>,
        gate: Semaphore,
        objects: Mutex<HashMap<String, Vec<u8>>>,
    }

    #[derive(Debug, PartialEq)]
    enum Told {
        Up(String),
        Down(String, DownReason),
        Standing(Standing),
        Cast(u16, Bytes),
    }

    #[async_trait]
    impl LinkHandler for Ear {
        fn peer_up(&self, peer: Peer) {
            let _ = self.told.send(Told::Up(peer.name().to_string()));
        }

        fn peer_down(&self, peer: &Peer, reason: &DownReason) {
            let _ = self.told.send(Told::Down(peer.name().to_string(), reason.clone()));
        }

        fn peer_standing(&self, peer: &Peer) {
            let _ = self.told.send(Told::Standing(peer.standing()));
        }

        async fn cast(&self, _from: &Peer, kind: u16, body: Bytes) {
            self.gate.acquire().await.unwrap().forget();
            let _ = self.told.send(Told::Cast(kind, body));
        }

        async fn call(&self, _from: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal> {
            match kind {
                ECHO => Ok(body),
                NEVER => std::future::pending().await,
                _ => Err(Refusal::Unsupported),
            }
        }

        async fn bulk_read(&self, _from: &Peer, request: BulkRequest) -> Result<BulkSource, Refusal> {
            let objects = locked(&self.objects);
            let object = objects.get(&request.object).ok_or(Refusal::Refused("no such object".into()))?;
            let rest = object[request.offset as usize..].to_vec();
            Ok(BulkSource {
                reader: Box::pin(std::io::Cursor::new(rest)),
                length: Some(object.len() as u64),
                hash: None,
            })
        }
    }

    struct Side {
        link: Link,
        ear: Arc<Ear>,
        told: mpsc::UnboundedReceiver<Told>,
    }

    async fn side(name: &str, role: Role, limits: LinkLimits) -> Side {
        let (told, hears) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear { told, gate: Semaphore::new(Semaphore::MAX_PERMITS), objects: Mutex::default() });
        let node = NodeIdentity {
            name: name.into(),
            role,
            data_dir: Uuid::new_v4(),
            boot: Boot(1),
            machine_id: "m".into(),
            boot_id: "b".into(),
        };
        let config = LinkConfig {
            node,
            listen: None,
            advertise: None,
            cookie: Cookie::new([1; 32]).unwrap(),
            tls: None,
            peers_to_dial: Vec::new(),
            limits,
        };
        Side { link: Link::start(config, ear.clone()).await.unwrap(), ear, told: hears }
    }

    /// A master and a worker in one process, joined and told of each other.
    async fn pair(limits: LinkLimits) -> (Side, Side) {
        let mut master = side("m1", Role::Master, limits).await;
        let mut worker = side("w1", Role::Worker, limits).await;
        master.link.join_local(&worker.link).unwrap();
        assert_eq!(hear(&mut master).await, Told::Up("w1".into()));
        assert_eq!(hear(&mut worker).await, Told::Up("m1".into()));
        (master, worker)
    }

    async fn hear(side: &mut Side) -> Told {
        tokio::time::timeout(Duration::from_secs(20), side.told.recv()).await.expect("heard in time").unwrap()
    }

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn two_roles_of_one_process_call_each_other() {
        let (master, worker) = pair(LinkLimits::default()).await;
        let w1 = master.link.peer("w1").unwrap();
        assert!(matches!(w1, Peer::Local(_)));
        assert_eq!(w1.role(), Role::Worker);
        assert_eq!(w1.call(ECHO, "hello", SOON).await, Ok(Bytes::from("hello")));
        let m1 = worker.link.peer("m1").unwrap();
        assert_eq!(m1.session(), w1.session());
        assert_eq!(m1.call(77, "", SOON).await, Err(CallError::Unsupported));
        assert_eq!(m1.call(NEVER, "", Duration::from_millis(1)).await, Err(CallError::Timeout));
    }

    #[tokio::test]
    async fn casts_keep_their_order_among_long_ones() {
        let (master, mut worker) = pair(LinkLimits::default()).await;
        let w1 = master.link.peer("w1").unwrap();
        for kind in 0..500_u16 {
            let bytes = if kind % 50 == 0 { 600_000 } else { 10 };
            let body = vec![kind as u8; bytes];
            while let Err(error) = w1.cast(kind, &body) {
                assert_eq!(error, SendError::Busy);
                tokio::task::yield_now().await;
            }
        }
        for kind in 0..500_u16 {
            let Told::Cast(heard, body) = hear(&mut worker).await else { panic!("a cast") };
            assert_eq!(heard, kind);
            assert!(body.iter().all(|byte| *byte == kind as u8));
        }
    }

    #[tokio::test]
    async fn a_message_of_the_greatest_size_passes_and_a_greater_one_is_refused_here() {
        let (master, _worker) = pair(LinkLimits::default()).await;
        let w1 = master.link.peer("w1").unwrap();
        let bytes_max = LinkLimits::default().message_bytes_max;
        let body = vec![7; bytes_max];
        assert_eq!(w1.call(ECHO, &body, SOON).await.unwrap(), body);
        let too_large = CallError::TooLarge { bytes: bytes_max + 1, bytes_max };
        assert_eq!(w1.call(ECHO, vec![7; bytes_max + 1], SOON).await, Err(too_large));
    }

    #[tokio::test]
    async fn a_slow_handler_makes_the_sender_busy_and_loses_nothing_that_was_taken() {
        let limits = LinkLimits { inbound_bytes_max: 10_000, peer_queue_bytes_max: 20_000, ..LinkLimits::default() };
        let (master, mut worker) = pair(limits).await;
        worker.ear.gate.forget_permits(Semaphore::MAX_PERMITS);
        let w1 = master.link.peer("w1").unwrap();
        let mut taken = 0_u16;
        let mut refused = 0;
        while refused < 100 {
            match w1.cast(taken, [0; 1000]) {
                Ok(()) => taken += 1,
                Err(error) => {
                    assert_eq!(error, SendError::Busy);
                    refused += 1;
                    tokio::task::yield_now().await;
                }
            }
            assert!(taken < 200, "the queue is bounded");
        }
        worker.ear.gate.add_permits(1000);
        for kind in 0..taken {
            assert!(matches!(hear(&mut worker).await, Told::Cast(heard, _) if heard == kind));
        }
    }

    #[tokio::test]
    async fn a_peer_that_stays_over_its_budget_is_cut() {
        let limits = LinkLimits {
            inbound_bytes_max: 1_000,
            peer_queue_bytes_max: 5_000,
            over_budget_ms_max: 20,
            heartbeat_ms: 5,
            ..LinkLimits::default()
        };
        let (mut master, worker) = pair(limits).await;
        worker.ear.gate.forget_permits(Semaphore::MAX_PERMITS);
        let w1 = master.link.peer("w1").unwrap();
        while w1.cast(1, [0; 900]).is_ok() {}
        assert!(matches!(hear(&mut master).await, Told::Down(_, DownReason::OverBudget { .. })));
        assert_eq!(w1.cast(1, [0; 1]), Err(SendError::Down));
        assert!(master.link.peer("w1").is_none());
    }

    #[tokio::test]
    async fn a_cut_session_fails_the_calls_under_way_on_both_sides() {
        let (mut master, mut worker) = pair(LinkLimits::default()).await;
        let w1 = master.link.peer("w1").unwrap();
        let waiting = tokio::spawn({
            let w1 = w1.clone();
            async move { w1.call(NEVER, "", SOON).await }
        });
        tokio::task::yield_now().await;
        w1.cut("a test");
        assert_eq!(waiting.await.unwrap(), Err(CallError::Down));
        assert_eq!(hear(&mut master).await, Told::Down("w1".into(), DownReason::Cut("a test".into())));
        assert_eq!(hear(&mut worker).await, Told::Down("m1".into(), DownReason::Closed));
    }

    #[tokio::test]
    async fn the_highest_epoch_and_its_leader_are_told_and_never_go_back() {
        let (master, mut worker) = pair(LinkLimits::default()).await;
        let newer = Standing { epoch: Epoch(5), leader: Some("m1".into()) };
        master.link.set_standing(newer.clone());
        let mut heard = hear(&mut worker).await;
        while heard != Told::Standing(newer.clone()) {
            heard = hear(&mut worker).await;
        }
        master.link.set_standing(Standing { epoch: Epoch(4), leader: Some("m2".into()) });
        assert_eq!(master.link.standing(), newer);
        assert_eq!(worker.link.peer("m1").unwrap().standing(), newer);
    }

    #[tokio::test]
    async fn an_object_is_read_from_an_offset_and_a_missing_one_refused() {
        let (master, worker) = pair(LinkLimits::default()).await;
        let object: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8).collect();
        locked(&worker.ear.objects).insert("log".into(), object.clone());
        let w1 = master.link.peer("w1").unwrap();
        let request = |object: &str| BulkRequest { object: object.into(), offset: 1_000_001, hash: None };
        let mut download = w1.bulk_get(request("log")).await.unwrap();
        assert_eq!(download.length, Some(5_000_000));
        let mut rest = Vec::new();
        download.reader.read_to_end(&mut rest).await.unwrap();
        assert!(rest == object[1_000_001..]);
        let error = w1.bulk_get(request("other")).await.err().unwrap();
        assert!(error.to_string().contains("no such object"), "{error}");
        let mut input = std::io::Cursor::new(vec![1, 2, 3]);
        let offer = BulkOffer { object: "x".into(), length: Some(3), hash: None };
        assert!(w1.bulk_put(offer, &mut input).await.is_err(), "this handler takes nothing");
    }
}
