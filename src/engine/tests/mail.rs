//! Mails that are owed: when, to whom, in one or several, and what becomes of them.

use crate::model::assignment::OutcomeClass;
use crate::model::duration::Millis;
use crate::model::id::{InstanceNumber, NodeName};
use crate::model::message::Message;
use crate::model::policy::MailLevel;
use crate::say;

use super::super::mail::MailRules;
use super::super::state::{InstanceEnd, MailAbout, MailEnd, OwedMail};
use super::super::*;
use super::bench::{Bench, Flow, HOUR, LOST_AFTER};

const WINDOW: i64 = 10_000;

fn bench() -> Bench {
    let mail = MailRules { is_on: true, ..MailRules::default() };
    let mut bench = Bench::with(Settings { lost_after: LOST_AFTER, mail, ..Settings::default() });
    bench.register("w1", 9, "boot-1", &[]);
    bench
}

fn mailing(mut flow: Flow, levels: &[MailLevel], to: &[&str]) -> Flow {
    flow.definition.mail_levels = levels.to_vec();
    flow.definition.mail_receivers = to.iter().map(|to| (*to).to_owned()).collect();
    flow
}

fn failing(name: &str, to: &[&str]) -> Flow {
    mailing(Flow::simple(name), &[MailLevel::Failed], to)
}

fn owed(bench: &Bench) -> Vec<OwedMail> {
    bench.replica.mails.values().cloned().collect()
}

fn mail_events(bench: &Bench) -> Vec<EventKind> {
    let is_of_mail = |kind: &&EventKind| {
        matches!(
            kind,
            EventKind::MailOwed { .. }
                | EventKind::MailAdded { .. }
                | EventKind::MailClosed { .. }
                | EventKind::MailSettled { .. }
                | EventKind::MailFaulted { .. }
                | EventKind::AttentionRaised { .. }
        )
    };
    bench.events.iter().filter(is_of_mail).cloned().collect()
}

fn fails(bench: &mut Bench, name: &str) -> InstanceNumber {
    let run = bench.run(name);
    bench.fail(run, "a");
    run
}

#[test]
fn an_end_of_the_level_is_owed_once_and_sent_when_its_time_has_come() {
    let mut bench = bench();
    bench.define(failing("w", &["b@x.cn", "a@x.cn", "b@x.cn"]).build());
    let run = bench.run("w");
    bench.start(run, "a");
    let attempt = bench.attempt(run, "a");
    let (worker, _) = bench.sent.remove(&attempt).unwrap();
    let outcome = super::bench::outcome(OutcomeClass::Failed);
    bench.ok(Command::AttemptFinished { worker, attempt, outcome });
    let [mail] = owed(&bench).try_into().unwrap();
    assert_eq!(mail_events(&bench), [EventKind::MailOwed { mail: Box::new(mail.clone()) }]);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::SendMail { .. })));
    assert_eq!(mail.to, ["a@x.cn", "b@x.cn"]);
    assert_eq!((mail.items[0].instance, &mail.items[0].about), (run, &MailAbout::Ended { end: InstanceEnd::Failed }));
    bench.pass(WINDOW - 1);
    assert!(!owed(&bench)[0].is_closed);
    bench.advance(1);
    bench.ok(Command::Tick);
    assert_eq!(bench.events, [EventKind::MailClosed { mail: 1 }]);
    assert_eq!(bench.effects, [Effect::SendMail { mail: 1 }]);
    bench.ok(Command::MailSent { mail: 1, refused: Vec::new() });
    assert_eq!(bench.events, [EventKind::MailSettled { mail: 1, end: MailEnd::Sent }]);
    assert_eq!(bench.effects, []);
    // Said twice it changes nothing.
    assert_eq!(bench.ok(Command::MailSent { mail: 1, refused: Vec::new() }), Reply::Unchanged);
    bench.pass(HOUR);
    assert_eq!(owed(&bench), []);
}

#[test]
fn only_ends_of_the_level_are_mailed_a_kill_by_a_person_among_them() {
    for (levels, expected) in [
        (vec![MailLevel::Succeeded], vec!["succeeded"]),
        (vec![MailLevel::Failed], vec!["failed"]),
        (vec![MailLevel::Killed], vec!["killed"]),
        (vec![], vec![]),
        (vec![MailLevel::Queued, MailLevel::Running], vec![]),
        (vec![MailLevel::Succeeded, MailLevel::Failed, MailLevel::Killed], vec!["succeeded", "failed", "killed"]),
    ] {
        let mut bench = bench();
        bench.define(mailing(Flow::simple("w"), &levels, &["a@x.cn"]).build());
        let run = bench.run("w");
        bench.succeed(run, "a");
        fails(&mut bench, "w");
        let run = bench.run("w");
        bench.ok(Command::KillInstance { instance: run, why: None, grace: None });
        bench.finish(run, "a", OutcomeClass::Killed);
        // One that never started ends too.
        let words: Vec<_> = owed(&bench).iter().flat_map(|mail| &mail.items).map(|item| item.about.word()).collect();
        assert_eq!(words, expected, "{levels:?}");
    }
}

#[test]
fn one_that_is_killed_in_the_queue_is_mailed_too() {
    let mut bench = bench();
    bench.define(mailing(Flow::simple("w"), &[MailLevel::Killed], &["a@x.cn"]).build());
    bench.run("w");
    let waiting = bench.run("w");
    bench.ok(Command::KillInstance { instance: waiting, why: None, grace: None });
    assert_eq!(owed(&bench)[0].items[0].instance, waiting);
}

#[test]
fn akka_15_those_who_wait_for_it_hear_of_it_too_through_workflows_that_are_enabled() {
    let mut bench = bench();
    bench.define(failing("source", &["source@x.cn"]).build());
    bench.define(failing("middle", &["middle@x.cn"]).after("source").build());
    bench.define(failing("far", &["far@x.cn", "source@x.cn"]).after("middle").build());
    bench.define(failing("off", &["off@x.cn"]).after("source").coordinated(|it| it.is_enabled = false).build());
    bench.define(failing("behind-off", &["behind-off@x.cn"]).after("off").build());
    bench.define(failing("other", &["other@x.cn"]).build());
    fails(&mut bench, "source");
    assert_eq!(owed(&bench)[0].to, ["far@x.cn", "middle@x.cn", "source@x.cn"]);
    let downstream = bench.replica.downstream(&"source".into());
    assert_eq!(downstream.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["far", "middle"]);
    // A workflow without receivers of its own still tells those behind it.
    bench.define(failing("middle", &[]).after("source").build());
    fails(&mut bench, "middle");
    assert_eq!(owed(&bench)[1].to, ["far@x.cn", "source@x.cn"]);
}

#[test]
fn without_a_mail_server_or_receivers_nothing_is_owed() {
    let mut off = Bench::with_workers(&[1]);
    off.define(failing("w", &["a@x.cn"]).build());
    fails(&mut off, "w");
    assert_eq!(owed(&off), []);
    let mut bench = bench();
    bench.define(failing("w", &[]).build());
    fails(&mut bench, "w");
    assert_eq!(owed(&bench), []);
}

#[test]
fn what_fails_at_once_goes_to_the_same_receivers_in_one_mail() {
    let mut bench = bench();
    for name in ["a1", "a2", "a3"] {
        bench.define(failing(name, &["a@x.cn"]).build());
    }
    bench.define(failing("b", &["b@x.cn"]).build());
    let first = fails(&mut bench, "a1");
    bench.pass(WINDOW / 2);
    let second = fails(&mut bench, "a2");
    fails(&mut bench, "b");
    bench.pass(WINDOW / 2);
    let late = fails(&mut bench, "a3");
    let items = |mail: &OwedMail| mail.items.iter().map(|item| item.instance).collect::<Vec<_>>();
    let mails = owed(&bench);
    assert_eq!(
        mails.iter().map(|mail| (mail.to[0].as_str(), items(mail).len())).collect::<Vec<_>>(),
        [("a@x.cn", 2), ("b@x.cn", 1), ("a@x.cn", 1)]
    );
    assert_eq!((items(&mails[0]), items(&mails[2])), (vec![first, second], vec![late]));
    let ids: std::collections::BTreeSet<String> = mails.iter().map(|mail| bench.replica.mail_id(mail)).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&format!("mail-1.{first}.1.failed.test@ractorflow")), "{ids:?}");
}

#[test]
fn a_retry_and_a_recovery_are_mailed_once() {
    let retrying = |times: u32, rule: u32| {
        let mail = MailRules { is_on: true, retry_failures: rule, ..MailRules::default() };
        let mut bench = Bench::with(Settings { lost_after: LOST_AFTER, mail, ..Settings::default() });
        bench.register("w1", 1, "boot-1", &[]);
        let flow = Flow::new("w").start("a").action_with("a", "end", |policy| policy.retry.times = times).end("end");
        bench.define(mailing(flow, &[MailLevel::Failed], &["a@x.cn"]).build());
        bench
    };
    let words = |bench: &Bench| -> Vec<_> {
        owed(bench).iter().flat_map(|mail| mail.items.clone()).map(|item| item.about).collect()
    };
    let node = || NodeName::from("a");
    let mut bench = retrying(3, 1);
    let run = bench.run("w");
    bench.fail(run, "a");
    assert_eq!(words(&bench), [MailAbout::Retrying { node: node() }]);
    bench.fail(run, "a");
    assert_eq!(words(&bench).len(), 1);
    bench.succeed(run, "a");
    assert_eq!(words(&bench), [MailAbout::Retrying { node: node() }, MailAbout::Recovered { node: node() }]);

    // Before the second failure nobody needs to know.
    let mut bench = retrying(3, 2);
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.succeed(run, "a");
    assert_eq!(words(&bench), []);

    // The last failure ends the run, which is a mail of its own.
    let mut bench = retrying(1, 1);
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.fail(run, "a");
    assert_eq!(words(&bench), [MailAbout::Retrying { node: node() }, MailAbout::Ended { end: InstanceEnd::Failed }]);

    let mut bench = retrying(1, 0);
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.succeed(run, "a");
    assert_eq!(words(&bench), []);
}

#[test]
fn what_is_owed_outlives_the_leader() {
    let mut bench = bench();
    bench.define(failing("w", &["a@x.cn"]).build());
    fails(&mut bench, "w");
    // Open: the next leader closes it in its time.
    bench.take_over();
    assert_eq!(bench.engine.recover(Scope::All), []);
    bench.pass(WINDOW);
    assert_eq!(bench.effects, [Effect::SendMail { mail: 1 }]);
    let id = bench.replica.mail_id(&owed(&bench)[0]);
    // Closed: the next leader hands it in, under the same name.
    bench.take_over();
    assert_eq!(bench.engine.recover(Scope::All), [Effect::SendMail { mail: 1 }]);
    assert_eq!(bench.replica.mail_id(&owed(&bench)[0]), id);
    bench.ok(Command::MailSent { mail: 1, refused: Vec::new() });
    bench.take_over();
    assert_eq!(bench.engine.recover(Scope::All), []);
}

#[test]
fn a_mail_server_that_is_down_is_shown_until_a_mail_is_sent() {
    let mut bench = bench();
    bench.define(failing("w", &["a@x.cn"]).build());
    fails(&mut bench, "w");
    bench.pass(WINDOW);
    let why = Message::verbatim("connection refused");
    bench.ok(Command::MailDelayed { mail: 1, why: why.clone() });
    assert_eq!(bench.events, [EventKind::MailFaulted { why: why.clone() }]);
    let since = bench.replica.cluster.mail_trouble.as_ref().unwrap().since;
    bench.pass(HOUR);
    // The same again is no news, another reason is.
    assert_eq!(bench.ok(Command::MailDelayed { mail: 1, why }), Reply::Unchanged);
    bench.ok(Command::MailDelayed { mail: 1, why: Message::verbatim("login refused") });
    let trouble = bench.replica.cluster.mail_trouble.clone().unwrap();
    assert_eq!((trouble.since, trouble.why.english()), (since, "login refused".to_owned()));
    // It holds up nothing.
    let run = bench.run("w");
    bench.succeed(run, "a");
    bench.ok(Command::MailSent { mail: 1, refused: Vec::new() });
    assert_eq!(bench.replica.cluster.mail_trouble, None);
    assert_eq!(bench.ok(Command::MailDelayed { mail: 1, why: Message::verbatim("late") }), Reply::Unchanged);
}

#[test]
fn a_mail_that_nobody_takes_is_given_up_after_its_time_and_that_is_told() {
    let mut bench = bench();
    bench.define(failing("w", &["a@x.cn"]).build());
    fails(&mut bench, "w");
    bench.pass(WINDOW);
    bench.ok(Command::MailDelayed { mail: 1, why: Message::verbatim("connection refused") });
    bench.pass(24 * HOUR - WINDOW - 1);
    assert_eq!(owed(&bench).len(), 1);
    bench.pass(1);
    assert_eq!(owed(&bench), []);
    assert_eq!(bench.replica.cluster.mail_trouble, None);
    let told = bench.replica.attentions.values().next_back().unwrap();
    assert_eq!(told.subject, "mail");
    assert_eq!(
        told.message.english(),
        "the mail about w #1 to a@x.cn was given up: the mail server has not taken it for 24 h"
    );
}

#[test]
fn receivers_that_cannot_get_it_are_named() {
    let mut bench = bench();
    bench.define(failing("w", &["a@x.cn", "gone@x.cn"]).build());
    for _ in 0..2 {
        fails(&mut bench, "w");
        bench.pass(WINDOW);
    }
    let refused = vec![("gone@x.cn".to_owned(), say!("the mail server refuses: {}", "no such user"))];
    bench.ok(Command::MailSent { mail: 1, refused });
    assert_eq!(bench.events.len(), 2);
    bench.ok(Command::MailRefused { mail: 2, why: Message::verbatim("nobody is there") });
    let told: Vec<_> = bench.replica.attentions.values().map(|row| row.message.english()).collect();
    assert_eq!(
        told,
        [
            "gone@x.cn did not get the mail about w #1: the mail server refuses: no such user",
            "the mail about w #2 to a@x.cn, gone@x.cn was given up: nobody is there",
        ]
    );
    assert_eq!(owed(&bench), []);
}

#[test]
fn mails_that_wait_are_bounded() {
    let mail = MailRules { is_on: true, group_within: Millis(0), ..MailRules::default() };
    let mut bench = Bench::with(Settings { lost_after: LOST_AFTER, mail, ..Settings::default() });
    bench.is_checked = false;
    bench.register("w1", 1, "boot-1", &[]);
    bench.define(failing("w", &["a@x.cn"]).build());
    for _ in 0..1_003 {
        fails(&mut bench, "w");
    }
    assert_eq!(owed(&bench).len(), 1_000);
    let told: Vec<_> = bench.replica.attentions.values().map(|row| row.message.english()).collect();
    assert_eq!(told, ["1000 mails wait for the mail server; more are not written"]);
}
