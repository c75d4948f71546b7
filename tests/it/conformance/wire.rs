//! Connections that are not made, and answers that point elsewhere.

use std::{net::SocketAddr, sync::Arc};

use axum::body::Bytes;
use evenkeel::connectors::{Connector, Fault, Outcome};
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::{
    bench::{Bench, Known, all_are, read, write},
    front::{Front, Strike},
};

const CERTIFICATE: &[u8] = include_bytes!("../../data/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("../../data/tls/key.pem");

/// Checks that nothing was sent by a connector to this address, and returns what was told.
async fn unreached(bench: &Bench, base: String) -> String {
    let (working, known) = bench.at_work().await;
    let reads = bench.reads(&*working, &known).await;
    let mut at = bench.at();
    at.base = base;
    let connector: Box<dyn Connector> = (bench.subject.build)(&at);
    let written = write(&*connector, &known.items, 1, 7);
    let read = join_all(reads.iter().map(|kind| read(&*connector, *kind, &known, None)));
    let (outcomes, faults) = tokio::join!(written, read);
    all_are(&outcomes, |outcome| matches!(outcome, Outcome::NotSent { .. }), bench.subject.name);
    let mut told = format!("{outcomes:?}");
    for (kind, got) in reads.iter().zip(faults) {
        let fault = got.expect_err("nothing can be read");
        assert!(matches!(fault, Fault::Disconnected(_)), "{kind:?}: {fault:?}");
        told.push_str(&fault.to_string());
    }
    bench.is_discreet(&told);
    told
}

pub(super) async fn a_connection_that_is_refused_proves_that_nothing_was_sent(bench: Bench) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    unreached(&bench, format!("http://{address}")).await;
}

pub(super) async fn a_certificate_that_nobody_vouches_for_is_refused(bench: Bench) {
    let told = unreached(&bench, format!("https://{}", self_signed().await)).await;
    assert!(told.contains("certificate"), "it is not said why: {told}");
}

pub(super) async fn a_server_without_tls_is_refused(bench: Bench) {
    let base = bench.front.base().replace("http://", "https://");
    unreached(&bench, base).await;
}

/// Serves TLS with a certificate of its own making.
async fn self_signed() -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let refused = acceptor.accept(stream).await;
            assert!(refused.is_err(), "a client has taken the certificate");
        }
    });
    address
}

pub(super) async fn a_redirect_is_refused_and_gets_no_credentials(bench: Bench) {
    let elsewhere = Front::start(bench.front.address).await;
    for status in [301, 302, 303, 307, 308] {
        let (connector, known) = bench.busy().await;
        let reads = bench.reads(&*connector, &known).await;
        let to = format!("{}/elsewhere", elsewhere.base());
        let strike = || Strike::Says(status, vec![("location", to.clone())], Bytes::new());
        bench.front.strike(bench.changes(), 0, strike());
        let outcomes = write(&*connector, &known.items, usize::from(status), 7).await;
        let kept = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Unknown { .. } | Outcome::Unauthorized { .. } | Outcome::NotSent { .. }
            )
        };
        all_are(&outcomes, kept, &format!("{status}"));
        bench.front.strike(bench.all(), 0, strike());
        for kind in reads {
            redirected(&*connector, kind, &known).await;
        }
        bench.front.pass();
    }
    let led = elsewhere.asked();
    assert!(led.is_empty(), "a redirect was followed: {led:?}");
}

async fn redirected(connector: &dyn Connector, kind: super::bench::Read, known: &Known) {
    let fault = read(connector, kind, known, None).await.expect_err("it is not here");
    let refused = matches!(fault, Fault::Server { .. } | Fault::Unauthorized(_) | Fault::Refused(_));
    assert!(refused, "{kind:?}: {fault:?}");
}
