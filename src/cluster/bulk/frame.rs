//! Frames of the bulk connection: length, sort, number of the transfer, payload.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{BulkOffer, BulkRequest};
use crate::cluster::error::Refusal;
use crate::model::id::ContentHash;

/// Sort and transfer number.
const HEADER_BYTES: usize = 5;
/// What a frame may have besides a chunk: names and hashes in an opening.
const EXTRA_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(super) enum Frame {
    OpenRead(OpenRead),
    OpenWrite(BulkOffer),
    Accept(Accept),
    Data(Bytes),
    /// So many more bytes may come.
    Credit(u32),
    /// The sender has sent all.
    End,
    /// The receiver has kept all; it holds so many bytes of the object.
    Done(u64),
    Reset(Refusal),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OpenRead {
    pub request: BulkRequest,
    /// The reader's first credit.
    pub window: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Accept {
    /// Where a writer begins.
    pub offset: u64,
    pub length: Option<u64>,
    pub hash: Option<ContentHash>,
    /// A writer's first credit.
    pub window: u32,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BulkFrameError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a bulk frame of {0} bytes is out of bounds")]
    Length(usize),
    #[error("a bulk frame of sort {0} cannot be read")]
    Unreadable(u8),
}

impl Frame {
    pub(super) fn encode(&self, transfer: u32) -> Vec<u8> {
        let mut frame = vec![0; 4];
        frame.push(self.sort());
        frame.extend_from_slice(&transfer.to_be_bytes());
        match self {
            Frame::OpenRead(open) => pack(&mut frame, open),
            Frame::OpenWrite(offer) => pack(&mut frame, offer),
            Frame::Accept(accept) => pack(&mut frame, accept),
            Frame::Data(chunk) => frame.extend_from_slice(chunk),
            Frame::Credit(bytes) => pack(&mut frame, bytes),
            Frame::End => {}
            Frame::Done(bytes) => pack(&mut frame, bytes),
            Frame::Reset(refusal) => pack(&mut frame, refusal),
        }
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    }

    fn sort(&self) -> u8 {
        match self {
            Frame::OpenRead(_) => 1,
            Frame::OpenWrite(_) => 2,
            Frame::Accept(_) => 3,
            Frame::Data(_) => 4,
            Frame::Credit(_) => 5,
            Frame::End => 6,
            Frame::Done(_) => 7,
            Frame::Reset(_) => 8,
        }
    }

    fn decode(sort: u8, payload: Bytes) -> Result<Self, BulkFrameError> {
        Ok(match sort {
            1 => Frame::OpenRead(unpack(sort, &payload)?),
            2 => Frame::OpenWrite(unpack(sort, &payload)?),
            3 => Frame::Accept(unpack(sort, &payload)?),
            4 => Frame::Data(payload),
            5 => Frame::Credit(unpack(sort, &payload)?),
            6 => Frame::End,
            7 => Frame::Done(unpack(sort, &payload)?),
            8 => Frame::Reset(unpack(sort, &payload)?),
            _ => return Err(BulkFrameError::Unreadable(sort)),
        })
    }
}

fn pack(frame: &mut Vec<u8>, value: &impl Serialize) {
    rmp_serde::encode::write_named(frame, value).expect("a bulk header of plain fields encodes");
}

fn unpack<T: DeserializeOwned>(sort: u8, payload: &[u8]) -> Result<T, BulkFrameError> {
    rmp_serde::from_slice(payload).map_err(|_| BulkFrameError::Unreadable(sort))
}

/// The next frame and the transfer it belongs to.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    chunk_bytes_max: usize,
) -> Result<(u32, Frame), BulkFrameError> {
    let length = stream.read_u32().await? as usize;
    if !(HEADER_BYTES..=HEADER_BYTES + chunk_bytes_max + EXTRA_BYTES_MAX).contains(&length) {
        return Err(BulkFrameError::Length(length));
    }
    let sort = stream.read_u8().await?;
    let transfer = stream.read_u32().await?;
    let mut payload = vec![0; length - HEADER_BYTES];
    stream.read_exact(&mut payload).await?;
    Ok((transfer, Frame::decode(sort, Bytes::from(payload))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_read_back_as_written_and_long_ones_are_refused() {
        let accept = Accept { offset: 7, length: Some(9), hash: Some("ab".into()), window: 1024 };
        let mut wire = Frame::Accept(accept).encode(3);
        wire.extend(Frame::Data(Bytes::from_static(b"hello")).encode(4));
        wire.extend(Frame::End.encode(4));
        let mut wire = wire.as_slice();
        let (transfer, frame) = read(&mut wire, 64).await.unwrap();
        assert!(matches!(frame, Frame::Accept(Accept { offset: 7, length: Some(9), window: 1024, .. })));
        assert_eq!(transfer, 3);
        assert!(matches!(read(&mut wire, 64).await, Ok((4, Frame::Data(chunk))) if chunk == "hello"));
        assert!(matches!(read(&mut wire, 64).await, Ok((4, Frame::End))));

        let long = Frame::Data(Bytes::from(vec![0; 65 + EXTRA_BYTES_MAX])).encode(1);
        assert!(matches!(read(&mut long.as_slice(), 64).await, Err(BulkFrameError::Length(_))));
        assert!(matches!(
            read(&mut [0, 0, 0, 5, 77, 0, 0, 0, 1].as_slice(), 64).await,
            Err(BulkFrameError::Unreadable(77))
        ));
    }
}
