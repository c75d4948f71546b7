//! A proxy in front of a server that loses answers, gives old ones, or lets requests land late.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Pass,
    /// The server does its work; the client gets no answer.
    LoseAnswer,
    /// The server gets nothing, and the client no answer.
    LoseRequest,
    /// The client gets what the same request was answered last.
    Again,
    /// The client is cut off at once; the server gets the request when told.
    Hold(Arc<Notify>),
}

/// Decides by the first line and the body of a request.
type Rule = Box<dyn FnMut(&str, &str) -> Fate + Send>;

/// What a proxy knows.
struct Known {
    to: String,
    rule: Rule,
    /// The latest answer to each body.
    answers: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A running proxy. It ends with the runtime of its test.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub base_url: String,
}

impl Proxy {
    /// Passes requests on to the server at `to` (`http://host:port`). `rule` decides by the request's first line.
    pub(crate) async fn start(to: &str, mut rule: impl FnMut(&str) -> Fate + Send + 'static) -> Proxy {
        Proxy::start_by(to, move |line, _| rule(line)).await
    }

    /// Likewise. `rule` decides by the request's first line and its body.
    pub(crate) async fn start_by(to: &str, rule: impl FnMut(&str, &str) -> Fate + Send + 'static) -> Proxy {
        let to = to.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let base_url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let known = Known { to, rule: Box::new(rule), answers: BTreeMap::new() };
        let known = Arc::new(Mutex::new(known));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&known)));
            }
        });
        Proxy { base_url }
    }
}

async fn serve(mut client: TcpStream, known: Arc<Mutex<Known>>) {
    let request = read_request(&mut client).await;
    let Some(end) = request.iter().position(|b| *b == b'\r') else { return };
    let line = String::from_utf8_lossy(&request[..end]).into_owned();
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").map_or(request.len(), |head| head + 4);
    let body = request[head..].to_vec();
    let know = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let (fate, to) = {
        let mut known = know();
        ((known.rule)(&line, &String::from_utf8_lossy(&body)), known.to.clone())
    };
    match fate {
        Fate::Pass => {
            let answer = forward(&to, &request).await;
            know().answers.insert(body, answer.clone());
            client.write_all(&answer).await.expect("the client waits");
        }
        Fate::Again => {
            let answer = know().answers.get(&body).cloned().expect("it was asked before");
            client.write_all(&answer).await.expect("the client waits");
        }
        Fate::LoseAnswer => {
            forward(&to, &request).await;
        }
        Fate::LoseRequest => {}
        Fate::Hold(until) => {
            drop(client);
            until.notified().await;
            forward(&to, &request).await;
            until.notify_one();
        }
    }
}

/// Reads one request whole. Bodies come with their length.
async fn read_request(client: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let read = client.read(&mut buffer).await.expect("the client sends");
        request.extend_from_slice(&buffer[..read]);
        let head = request.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(head) = head.filter(|_| read > 0) else {
            if read == 0 {
                return request;
            }
            continue;
        };
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if request.len() >= head + 4 + length.unwrap_or(0) {
            return request;
        }
    }
}

/// Sends a request and reads the answer to its end: the server is asked to close the connection after each.
async fn forward(to: &str, request: &[u8]) -> Vec<u8> {
    let mut server = TcpStream::connect(to).await.expect("the server runs");
    let end = request.windows(2).position(|two| two == b"\r\n").expect("a request has a first line");
    let (line, rest) = request.split_at(end);
    let request = [line, b"\r\nconnection: close", rest].concat();
    server.write_all(&request).await.expect("the server reads");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.expect("the server answers");
    answer
}
