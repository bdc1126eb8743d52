// SPDX-License-Identifier: MIT
//! Tokio's side of the yield, spawn and pingpong benches; many.rs has the others.
//!
//! usage: fibers MODE WORKERS    WORKERS 0: current_thread, else multi_thread with that many
//!
//! Prints "metric value unit".
use std::time::Instant;
use tokio::sync::mpsc;

mod many;

pub fn report(metric: &str, start: Instant, n: usize, unit: &str) {
    println!("{} {:.3} {}", metric, start.elapsed().as_nanos() as f64 / n as f64, unit);
}

/// Two tasks that do nothing but yield to each other.
async fn yield_() {
    const N: usize = 5_000_000;
    let start = Instant::now();
    let task = || tokio::spawn(async { for _ in 0..N { tokio::task::yield_now().await } });
    let (a, b) = (task(), task());
    a.await.unwrap();
    b.await.unwrap();
    report("yield", start, 2 * N, "ns/switch");
}

/// One task after the other, each awaited before the next: spawn and join.
async fn spawn() {
    const N: usize = 3_000_000;
    let start = Instant::now();
    for _ in 0..N {
        tokio::spawn(async {}).await.unwrap();
    }
    report("spawn", start, N, "ns/task");
}

/// A thousand at a time, joined one by one.
async fn spawn_batch() {
    const N: usize = 3_000_000;
    const BATCH: usize = 1000;
    let mut tasks = Vec::with_capacity(BATCH);
    let start = Instant::now();
    for _ in 0..N / BATCH {
        for _ in 0..BATCH {
            tasks.push(tokio::spawn(async {}));
        }
        for t in tasks.drain(..) {
            t.await.unwrap();
        }
    }
    report("spawn_batch", start, N, "ns/task");
}

/// One value there and back.  Tokio has no rendezvous channel: capacity 1 is the nearest, and a
/// weaker contract, since the sender goes on before the value is taken.
async fn pingpong() {
    const N: usize = 3_000_000;
    let (there_tx, mut there_rx) = mpsc::channel::<usize>(1);
    let (back_tx, mut back_rx) = mpsc::channel::<usize>(1);
    let echo = tokio::spawn(async move {
        while let Some(v) = there_rx.recv().await {
            back_tx.send(v).await.unwrap();
        }
    });
    let start = Instant::now();
    for i in 0..N {
        there_tx.send(i).await.unwrap();
        back_rx.recv().await.unwrap();
    }
    report("pingpong", start, 2 * N, "ns/message");
    drop(there_tx);
    echo.await.unwrap();
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let workers: usize = args[2].parse().unwrap();
    let rt = match workers {
        0 => tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        n => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build()
            .unwrap(),
    };
    let mode = args[1].clone();
    // Inside a spawned task: the future given to block_on is polled outside the scheduler.
    rt.block_on(async move {
        tokio::spawn(async move {
            match mode.as_str() {
                "yield" => yield_().await,
                "spawn" => spawn().await,
                "spawn_batch" => spawn_batch().await,
                "pingpong" => pingpong().await,
                "skynet" => many::skynet().await,
                "skynet_oneshot" => many::skynet_oneshot().await,
                "skynet_mpsc" => many::skynet_mpsc().await,
                "parked" => many::parked().await,
                "timers" => many::timers().await,
                "skew" => many::skew().await,
                "echo" => many::echo().await,
                _ => panic!("fibers: no mode {}", mode),
            }
        })
        .await
        .unwrap();
    });
}
