//! The two kinds of transfer, as asked for by us and as served for the peer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};
use tokio_util::io::StreamReader;

use super::frame::{Accept, Frame, OpenRead};
use super::mux::{Mux, Transfer};
use super::{BulkDownload, BulkError, BulkInput, BulkOffer, BulkRequest};
use crate::cluster::error::Refusal;
use crate::cluster::peer::Peer;
use crate::cluster::session::Session;

pub(super) async fn get(mux: Arc<Mux>, request: BulkRequest) -> Result<BulkDownload, BulkError> {
    let mut transfer = mux.open()?;
    let window = mux.limits.bulk_window_bytes as u32;
    transfer.send(Frame::OpenRead(OpenRead { request, window })).await?;
    let Frame::Accept(accept) = transfer.receive().await? else { return Err(BulkError::Broken) };
    let chunks = stream::unfold(Some(transfer), |state| async {
        let mut transfer = state?;
        match next_chunk(&mut transfer).await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(transfer))),
            Ok(None) => None,
            Err(error) => Some((Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)), None)),
        }
    });
    let reader = Box::pin(StreamReader::new(Box::pin(chunks)));
    Ok(BulkDownload { reader, length: accept.length, hash: accept.hash })
}

async fn next_chunk(transfer: &mut Transfer) -> Result<Option<Bytes>, BulkError> {
    match transfer.receive().await? {
        Frame::Data(chunk) => {
            transfer.consumed(chunk.len()).await?;
            Ok(Some(chunk))
        }
        Frame::End => {
            transfer.over();
            Ok(None)
        }
        _ => Err(BulkError::Broken),
    }
}

/// Bytes of the object that the peer holds in the end.
pub(super) async fn put(mux: Arc<Mux>, offer: BulkOffer, input: &mut dyn BulkInput) -> Result<u64, BulkError> {
    let mut transfer = mux.open()?;
    transfer.send(Frame::OpenWrite(offer)).await?;
    let Frame::Accept(accept) = transfer.receive().await? else { return Err(BulkError::Broken) };
    input.seek(io::SeekFrom::Start(accept.offset)).await.map_err(BulkError::Input)?;
    transfer.set_credit(accept.window);
    send_all(&mut transfer, input).await?;
    match transfer.receive().await? {
        Frame::Done(bytes) => {
            transfer.over();
            Ok(bytes)
        }
        _ => Err(BulkError::Broken),
    }
}

async fn send_all(transfer: &mut Transfer, mut input: impl AsyncRead + Unpin) -> Result<(), BulkError> {
    let chunk_bytes = transfer.mux.limits.bulk_chunk_bytes;
    let mut chunk = vec![0; chunk_bytes];
    loop {
        let bytes = input.read(&mut chunk).await.map_err(BulkError::Input)?;
        if bytes == 0 {
            return transfer.send(Frame::End).await;
        }
        transfer.send_data(Bytes::copy_from_slice(&chunk[..bytes])).await?;
    }
}

/// A transfer that the peer opened.
pub(super) async fn serve(session: Arc<Session>, transfer: Transfer, open: Frame) {
    match open {
        Frame::OpenRead(open) => serve_read(session, transfer, open).await,
        Frame::OpenWrite(offer) => serve_write(session, transfer, offer).await,
        Frame::Accept(_) | Frame::Data(_) | Frame::Credit(_) | Frame::End | Frame::Done(_) | Frame::Reset(_) => {}
    }
}

async fn serve_read(session: Arc<Session>, mut transfer: Transfer, open: OpenRead) {
    let from = Peer::of(session.clone());
    let source = match session.own.handler.bulk_read(&from, open.request).await {
        Ok(source) => source,
        Err(refusal) => return transfer.refuse(refusal).await,
    };
    transfer.set_credit(open.window);
    let accept = Accept { offset: 0, length: source.length, hash: source.hash, window: 0 };
    if transfer.send(Frame::Accept(accept)).await.is_err() {
        return;
    }
    match send_all(&mut transfer, source.reader).await {
        Ok(()) => transfer.over(),
        Err(BulkError::Input(error)) => transfer.refuse(Refusal::Refused(error.to_string())).await,
        Err(BulkError::Broken | BulkError::Idle { .. } | BulkError::Refused(_)) => {}
    }
}

async fn serve_write(session: Arc<Session>, mut transfer: Transfer, offer: BulkOffer) {
    let from = Peer::of(session.clone());
    let mut sink = match session.own.handler.bulk_write(&from, offer).await {
        Ok(sink) => sink,
        Err(refusal) => return transfer.refuse(refusal).await,
    };
    let mut held = sink.offset();
    let window = transfer.mux.limits.bulk_window_bytes as u32;
    let accept = Accept { offset: held, length: None, hash: None, window };
    if transfer.send(Frame::Accept(accept)).await.is_err() {
        return;
    }
    loop {
        match next_chunk(&mut transfer).await {
            Ok(Some(chunk)) => {
                held += chunk.len() as u64;
                if let Err(refusal) = sink.write(chunk).await {
                    return transfer.refuse(refusal).await;
                }
            }
            Ok(None) => break,
            Err(_) => return,
        }
    }
    match sink.finish().await {
        Ok(()) => {
            let _ = transfer.send(Frame::Done(held)).await;
        }
        Err(refusal) => transfer.refuse(refusal).await,
    }
}
