//! Requests over connections that are kept: as many as the other side takes, or at a steady rate.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::report::Times;

/// How long an answer may take before the run is given up.
const ANSWER: Duration = Duration::from_secs(30);

/// Requests as bytes, each to be sent once.
pub(crate) type Requests = Arc<[Vec<u8>]>;

/// What came of a load.
pub(crate) struct Load {
    pub(crate) took: Duration,
    pub(crate) times: Times,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }
}

/// Sends all requests over `connections`, each as soon as the one before it on its connection is answered.
pub(crate) async fn full(to: &str, requests: &Requests, connections: usize) -> Load {
    send(to, requests, connections, None).await
}

/// Sends `per_second` requests a second over `connections`. An answer's time counts from when its request was due, also
/// where the connection was not free by then.
pub(crate) async fn steady(to: &str, requests: &Requests, connections: usize, per_second: u32) -> Load {
    send(to, requests, connections, Some(Duration::from_secs(1) / per_second)).await
}

async fn send(to: &str, requests: &Requests, connections: usize, every: Option<Duration>) -> Load {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await.expect("the server accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        streams.push(stream);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (n, mut stream) in streams.into_iter().enumerate() {
        let requests = Arc::clone(requests);
        tasks.spawn(async move {
            let (mut times, mut answer) = (Times::new(), Vec::with_capacity(1_024));
            for at in (n..requests.len()).step_by(connections) {
                let mut from = Instant::now();
                if let Some(every) = every {
                    let due = begun + every * u32::try_from(at).expect("few");
                    if from < due {
                        sleep_until(due).await;
                        // That the timer is late is not the server's doing.
                        from = Instant::now();
                    } else {
                        from = due;
                    }
                }
                let asked = exchange(&mut stream, &requests[at], &mut answer);
                timeout(ANSWER, asked).await.expect("an answer in time").expect("an answer");
                times.record(from.elapsed());
            }
            times
        });
    }
    let mut times = Times::new();
    for done in tasks.join_all().await {
        times.add(&done);
    }
    Load { took: begun.elapsed(), times }
}

/// Sends one request and reads its answer, which has no body.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<()> {
    stream.write_all(request).await?;
    answer.clear();
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let good = answer.starts_with(b"HTTP/1.1 200 ");
    if good { Ok(()) } else { Err(std::io::Error::other(String::from_utf8_lossy(answer).into_owned())) }
}
