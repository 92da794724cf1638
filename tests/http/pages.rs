//! The pages: content in both languages, nothing unescaped, useful without script.

use std::sync::atomic::Ordering;

use crate::Server;
use crate::english::is_english;
use crate::fake_master::FakeMaster;

pub const PAGES: &[&str] = &[
    "/",
    "/workflows",
    "/w/日报_订单",
    "/w/hive_compact",
    "/w/dwd_order_detail",
    "/w/日报_订单/versions/18",
    "/instances",
    "/i/10342",
    "/i/10342?node=import_orders&grep=ORA",
    "/i/10338",
    "/i/10300",
    "/i/10301",
    "/w/hive_compact_all",
    "/w/hive_compact_all/versions/19",
    "/i/10290?generation=2",
    "/i/10350",
    "/i/10351?node=clean_orders",
    "/w/by_hand",
    "/load-errors/dwd_order_detail",
    "/schedule",
    "/monitor",
    "/monitor?workflow=hive_compact&cursor=x",
    "/monitor/日报_订单/异常检测",
    "/monitor/日报_订单/异常检测?cursor=x",
    "/monitor/日报_订单/never",
    "/cluster",
    "/links",
    "/links/dwh?kind=database",
    "/links/local_mysql?kind=database",
    "/links/landing",
    "/login",
];

#[tokio::test]
async fn every_page_renders_in_both_languages_and_is_well_formed_enough() {
    let server = Server::start(FakeMaster::default()).await;
    for path in PAGES {
        for lang in ["en", "zh"] {
            let sign = if path.contains('?') { '&' } else { '?' };
            let html = server.page(&format!("{path}{sign}lang={lang}")).await;
            assert!(html.contains(&format!("<html lang=\"{}\"", if lang == "zh" { "zh-CN" } else { "en" })), "{path}");
            for tag in
                ["div", "section", "span", "table", "tr", "td", "a", "ul", "li", "form", "svg", "details", "h1", "p"]
            {
                let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
                let closed =
                    html.matches(&format!("</{tag}>")).count() + html.matches(&format!("<{tag} class=\"\"/>")).count();
                assert_eq!(opened, closed, "{path} {lang}: <{tag}>");
            }
            assert!(!html.contains("style=\""), "{path}: inline style");
            assert!(!html.contains("onclick") && !html.contains("<script>"), "{path}: inline script");
            assert!(!html.contains("null") && !html.contains("None"), "{path}: a raw value shows");
        }
    }
}

#[tokio::test]
async fn a_workflow_without_a_schedule_says_how_to_run_it() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/w/by_hand?lang=en").await;
    assert!(html.contains("It has no schedule") && html.contains("ractorflow run by_hand --follow"));
    assert!(!html.contains("Why does it not fire?") && !html.contains("id=\"next\""));
    assert!(server.page("/w/by_hand?lang=zh").await.contains("没有调度"));
}

#[tokio::test]
async fn a_workflow_and_each_of_its_versions_say_which_files_they_bring_along() {
    let server = Server::start(FakeMaster::default()).await;
    for path in ["/w/日报_订单", "/w/日报_订单/versions/18"] {
        for (lang, words) in [("en", ["Files", "bytes"]), ("zh", ["附件", "字节"])] {
            let html = server.page(&format!("{path}?lang={lang}")).await;
            let files = html.split("id=\"files\"").nth(1).unwrap().split("</section>").next().unwrap();
            for part in ["lib/check.sh", "lib/&#60;b&#62;.csv", "1,048,577", "9d02c4e79…", words[0], words[1]] {
                assert!(files.contains(part), "{path} {part}: {files}");
            }
        }
    }
}

#[tokio::test]
async fn events_of_the_cluster_come_in_pages() {
    let server = Server::start(FakeMaster::default()).await;
    let newest = server.page("/cluster?lang=en").await;
    assert!(newest.contains("events=42#events") && newest.contains(">older<"), "{newest}");
    let older = server.page("/cluster?lang=en&events=42").await;
    assert!(older.contains("m1 leads from now on, term 6") && older.contains(">newest<") && !older.contains(">older<"));
    assert!(server.page("/cluster?lang=zh&events=42").await.contains("m1 成为主节点，任期 6"));
}

#[tokio::test]
async fn a_monitor_shows_its_numbers_as_a_chart_and_as_a_table() {
    let server = Server::start(FakeMaster::default()).await;
    let list = server.page("/monitor?lang=en").await;
    assert!(list.contains("href=\"/monitor/hive_compact/rows%2Fchecked\"") && list.contains("cursor=next-page"));
    assert!(list.contains("20000 … 102000") && list.contains("30 measurements, 2 out of bounds"), "{list}");
    let one = server.page(&format!("/monitor/{}/{}?lang=en", "日报_订单", "异常检测")).await;
    // A mark and a row for each; those out of bounds have a shape of their own.
    assert_eq!((one.matches("<tr id=\"m-").count(), one.matches("class=\"m-dot\" cx").count()), (30, 29));
    assert_eq!(one.matches("class=\"m-out\" d=\"M").count(), 3, "two of thirty, and the legend");
    assert_eq!(one.matches("<a href=\"/i/").count(), 2 * 28, "of instances that are still there");
    assert!(one.contains(">128400.5<") && one.contains("is below the minimum 20000") && one.contains("attempt 2"));
    assert!(one.contains("cursor=next-page") && !one.contains("First page"));
    let later = server.page(&format!("/monitor/{}/{}?lang=en&cursor=next-page", "日报_订单", "异常检测")).await;
    assert!(later.contains("First page") && !later.contains("Next page"));
    assert!(server.page("/w/日报_订单?lang=en").await.contains("href=\"/monitor?workflow="));
    assert_eq!(server.get("/monitor/日报_订单/nowhere").await.status(), 404);
}

#[tokio::test]
async fn a_search_for_instances_keeps_what_was_asked_and_clears_it() {
    let server = Server::start(FakeMaster::default()).await;
    let query = "lang=en&text=ods&state=failed&since=2026-11-19&until=2026-11-19T12:00:00Z&creator=%3Cli%3E";
    let html = server.page(&format!("/instances?{query}")).await;
    for wanted in [
        "name=\"since\" type=\"date\" value=\"2026-11-19\"",
        // The browser's field for dates would lose the time.
        "name=\"until\" type=\"text\" value=\"2026-11-19T12:00:00Z\"",
        "<option value=\"failed\" selected>",
        "value=\"ods\"",
        "Nothing matches this filter.",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(html.contains("&#60;li&#62;") || html.contains("&lt;li&gt;"), "what was asked is escaped");
    let blank = server.page("/instances?lang=en&text=&since=&until=&creator=&state=").await;
    assert!(blank.contains("name=\"since\" type=\"date\" value=\"\"") && blank.contains("/i/10342"));
}

#[tokio::test]
async fn folders_are_a_tree_with_what_is_the_matter_in_each() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/workflows?lang=en&dir=/ads").await;
    let tree = html.split("class=\"tree\"").nth(1).and_then(|rest| rest.split("</ul>").next()).unwrap_or_default();
    assert!(tree.contains("class=\"lv1\"") && tree.contains("class=\"lv2\""), "{tree}");
    assert!(tree.contains("href=\"/workflows?dir=%2Fads\" title=\"/ads\" aria-current=\"true\""), "{tree}");
    assert!(tree.contains("class=\"k\">3</span>"), "{tree}");
}

#[tokio::test]
async fn what_waits_for_a_retry_says_until_when() {
    let server = Server::start(FakeMaster::default()).await;
    assert!(server.page("/i/10351?lang=en").await.contains("<b>Tries again at "));
    assert!(server.page("/i/10351?lang=zh").await.contains("重试</b>"));
}

/// The texts of a page that people read or hear: no markup, no commands, no logs.
fn texts(html: &str) -> Vec<String> {
    let body = html.split_once("<body").map_or("", |(_, body)| body);
    let (before, log) = body.split_once("id=\"log-lines\"").unwrap_or((body, ""));
    let after = log.split_once("</ol>").map_or("", |(_, after)| after);
    let mut texts = Vec::new();
    for part in before.split('<').chain(after.split('<')) {
        let Some((tag, text)) = part.split_once('>') else { continue };
        for attribute in ["aria-label=\"", "title=\"", "placeholder=\""] {
            texts.extend(tag.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
        if !tag.starts_with("code") && !tag.contains("class=\"cmd") {
            texts.push(text.trim().to_owned());
        }
    }
    texts
}

#[tokio::test]
async fn chinese_pages_hold_no_english_sentence_of_ours() {
    let server = Server::start(FakeMaster::default()).await;
    let empty = Server::start(FakeMaster::empty()).await;
    let mut found = Vec::new();
    for path in PAGES {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut pages = vec![server.page(&format!("{path}{sign}lang=zh")).await];
        if ["/", "/workflows", "/instances", "/monitor", "/cluster"].contains(path) {
            pages.push(empty.page(&format!("{path}{sign}lang=zh")).await);
        }
        for text in pages.iter().flat_map(|html| texts(html)) {
            if is_english(&text) {
                found.push(format!("{path}: {text}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    // The same eye sees the English pages.
    assert!(texts(&server.page("/cluster?lang=en").await).iter().any(|text| is_english(text)));
    let problem = server.client.get(server.url("/i/99?lang=zh")).header("accept", "text/html").send().await.unwrap();
    let problem = problem.text().await.unwrap();
    assert!(problem.contains("没有实例") && !texts(&problem).iter().any(|text| is_english(text)), "{problem}");
}

#[tokio::test]
async fn the_search_of_every_page_finds_workflows_by_text_and_instances_by_number() {
    let server = Server::start(FakeMaster::default()).await;
    let found = server.client.get(server.url("/workflows?text=%2310342")).header("accept", "text/html").send().await;
    assert_eq!(found.unwrap().headers()["location"], "/i/10342");
    assert!(server.page("/workflows?text=ods").await.contains("id=\"find\""));
}

#[tokio::test]
async fn what_users_write_is_escaped_on_every_page() {
    const CANARY: &str = "<img src=x onerror=\"steal('1')\">";
    let server = Server::start(FakeMaster::with_canary(CANARY)).await;
    let mut seen = 0;
    for path in PAGES.iter().filter(|path| !path.contains("?node=")) {
        let html = server.page(path).await;
        assert!(!html.contains("<img"), "{path} shows what a user wrote as markup");
        assert!(!html.contains("onerror=\""), "{path} lets a quote out of an attribute");
        seen += html.matches("&lt;img").count() + html.matches("&#60;img").count();
    }
    assert!(seen > 300, "the canary is on the pages at all: {seen}");
    let text = server.client.get(server.url("/")).header("accept", "text/plain").send().await.unwrap();
    assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_query_parameter_cannot_write_into_a_page() {
    let server = Server::start(FakeMaster::default()).await;
    for path in
        ["/workflows?text=", "/instances?text=", "/workflows?dir=", "/login?once=", "/i/10342?grep=", "/i/10342?x="]
    {
        let html = server.page(&format!("{path}%22%3E%3Cscript%3Ealert(1)%3C/script%3E")).await;
        assert!(!html.contains("<script>alert"), "{path}");
        assert!(!html.contains("\"><script"), "{path}");
    }
}

#[tokio::test]
async fn the_home_page_says_what_is_wrong_first_and_has_a_twin_in_plain_text() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/").await;
    let at = |needle: &str| html.find(needle).unwrap_or_else(|| panic!("{needle} is missing"));
    assert!(at("1 failed") < at("Needs attention") && at("ORA-01653") < at("id=\"running\""));
    assert!(html.contains("/i/10338?node=load_pay_ledger#log") && html.contains("/load-errors/dwd_order_detail"));
    let text = server.get("/").await.text().await.unwrap();
    assert!(text.starts_with("1 failed · 2 running"), "{text}");
    assert!(text.contains("日报_订单") && text.contains("#10342"), "{text}");
}

#[tokio::test]
async fn a_master_that_is_down_is_seen_though_the_cluster_works() {
    let server = Server::start(FakeMaster::short()).await;
    for path in ["/?lang=en", "/cluster?lang=en"] {
        let html = server.page(path).await;
        assert!(html.contains("a master is down") && html.contains("the loss of one more master"), "{path}");
        assert!(!html.contains("cluster healthy"), "{path}");
    }
    assert!(server.page("/?lang=zh").await.contains("有主节点离线"));
    let text = server.get("/").await.text().await.unwrap();
    assert!(text.contains("a master is down") && text.contains("2 of 3 masters are up"), "{text}");
}

#[tokio::test]
async fn only_pages_that_can_change_say_how_news_come() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, is_live) in [("/", true), ("/i/10342", true), ("/login", false), ("/w/日报_订单/versions/18", false)]
    {
        assert_eq!(server.page(path).await.contains("id=\"live\""), is_live, "{path}");
    }
}

#[tokio::test]
async fn an_instance_that_waits_has_no_start_and_no_empty_facts() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/i/10350?lang=en").await;
    assert!(html.contains("<dt>Created (") && html.contains("not started yet") && !html.contains("<dt>Started ("));
    assert!(!html.contains("<dd></dd>"));
}

#[tokio::test]
async fn load_errors_stand_in_the_list_in_their_place_and_say_what_still_runs() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/workflows").await;
    let row = html.split("<tr").find(|row| row.contains("dwd_order_detail")).unwrap();
    assert!(
        row.contains("tr-err") && row.contains("v12 still runs") && row.contains("dwd_order_detail.xml:23:54"),
        "{row}"
    );
    assert!(html.contains("It has never loaded."));
}

#[tokio::test]
async fn the_error_page_underlines_the_exact_characters() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/load-errors/dwd_order_detail").await;
    assert!(
        html.contains("<ok to=&#34;<mark class=\"caret\">写入分区_v2</mark>")
            || html.contains("&#60;ok to=&#34;<mark class=\"caret\">写入分区_v2</mark>")
    );
    assert!(html.contains("v12 still runs") && html.contains("RF-W0201") && html.contains("line 41, column 13"));
}

#[tokio::test]
async fn the_instance_page_shows_why_gantt_attempts_log_and_graph() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/i/10342?node=clean_orders").await;
    assert!(html.contains("class=\"gantt\"") && html.contains("Why is dedup_items not running?"));
    assert!(html.contains("Attempts of clean_orders") && html.contains("id=\"L8\" class=\"err\""));
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("data-follow=\"/api/v1/instances/10342/"));
    assert_eq!(html.matches("class=\"dag\"").count(), 1);
    let chinese = server.page("/i/10342?lang=zh").await;
    assert!(chinese.contains("运行中") && chinese.contains("甘特图") && !chinese.contains(">running<"));
}

#[tokio::test]
async fn of_thousands_of_nodes_the_page_shows_those_that_need_a_look_first_and_a_part_of_the_graph() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/i/10301").await;
    assert!(html.len() < 300_000, "{} bytes", html.len());
    assert!(html.contains("100 of 2398 nodes here, those that need a look first."));
    let table = |html: &str| html.split("<tbody>").last().unwrap().split("</tbody>").next().unwrap().to_owned();
    let rows = table(&html);
    assert!(rows.contains("compact_0001_merge"), "what runs comes first");
    assert!(!rows.contains(">succeeded<"), "what is done comes last");
    assert_eq!(html.matches("class=\"dag\"").count(), 1);
    assert!(html.contains("Around compact_") && html.contains(">+1"), "the graph says what it leaves out");
    let next = html.split("nodes=").nth(1).unwrap().split('#').next().unwrap();
    let second = server.page(&format!("/i/10301?nodes={next}")).await;
    assert!(second.contains(">first</a>") && second.len() < 300_000);
    assert!(!table(&second).contains("compact_0001_merge"));
    let queued = server.page("/i/10301?state=queued").await;
    let rows = table(&queued);
    assert!(rows.contains("compact_0002_读取") && !rows.contains(">running<"));
    let chosen = server.page("/i/10301?node=compact_0700_%E8%AF%BB%E5%8F%96").await;
    assert!(chosen.contains("Around compact_0700_读取") && chosen.contains("Attempts of compact_0700_读取"));
}

#[tokio::test]
async fn a_workflow_of_thousands_of_nodes_comes_in_parts() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/w/hive_compact_all").await;
    assert!(html.len() < 300_000, "{} bytes", html.len());
    assert!(html.contains("100 of 2398 nodes are here.") && html.contains("Around "));
    assert_eq!(html.matches("class=\"dag\"").count(), 1);
    let next = html.split("nodes=").nth(1).unwrap().split('#').next().unwrap();
    let second = server.page(&format!("/w/hive_compact_all?nodes={next}&node=compact_0700_merge")).await;
    assert!(second.contains(">first</a>") && second.contains("Around compact_0700_merge"));
}

#[tokio::test]
async fn a_long_definition_comes_in_parts_with_the_right_line_numbers() {
    let server = Server::start(FakeMaster::default()).await;
    let html = server.page("/w/hive_compact_all/versions/19").await;
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    let from = html.split("?from=").nth(1).unwrap().split('"').next().unwrap();
    let second = server.page(&format!("/w/hive_compact_all/versions/19?from={from}")).await;
    let line: usize = second.split("<li id=\"L").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let last = html.matches("<li id=\"L").count();
    assert_eq!(line, last + 1, "the lines go on");
}

#[tokio::test]
async fn while_masters_switch_pages_show_the_last_known_data_and_their_age() {
    let server = Server::start(FakeMaster::default()).await;
    server.page("/").await;
    server.master.is_down.store(true, Ordering::SeqCst);
    let html = server.page("/").await;
    assert!(html.contains("Masters are switching") && html.contains("ods_pay_flow"));
    let unseen = server.client.get(server.url("/cluster")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(unseen.status(), 503, "what was never seen cannot be shown");
    assert!(unseen.text().await.unwrap().contains("No master is active right now"));
}

#[tokio::test]
async fn empty_pages_say_what_to_do_next_with_a_command() {
    let server = Server::start(FakeMaster::empty()).await;
    for (path, command) in [
        ("/", "ractorflow run hello_every_minute --follow"),
        ("/workflows", "cp xmlconfig/example/hello_every_minute.xml xmlconfig/"),
        ("/instances", "ractorflow run hello_every_minute --follow"),
        ("/cluster", "./sbin/worker-startup"),
    ] {
        assert!(server.page(path).await.contains(command), "{path}");
    }
}

#[tokio::test]
async fn errors_are_pages_for_browsers() {
    let server = Server::start(FakeMaster::default()).await;
    let answer = server.client.get(server.url("/i/99?lang=zh")).header("accept", "text/html").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let html = answer.text().await.unwrap();
    assert!(html.contains("实例不存在") && html.contains("instance-not-found"), "{html}");
}

#[tokio::test]
async fn a_form_leads_to_what_it_made_and_without_a_session_to_the_sign_in_page() {
    let server = Server::start(FakeMaster::default()).await;
    let (cookie, csrf) = server.sign_in();
    let form = "verb=trigger&key=k&scope=downstream&p.stadate=2026-11-18&skip=a,%20b&csrf=";
    let post = |cookie: &str, csrf: &str| {
        let request = server.client.post(server.url("/w/日报_订单")).header("accept", "text/html");
        request.header("cookie", cookie).body(format!("{form}{csrf}")).send()
    };
    let answer = post(&cookie, &csrf).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/i/10350"));
    {
        let changes = server.master.changes.lock().unwrap();
        let ractorflow::api::Change::Trigger { request, .. } = &changes[0].change else { panic!("{changes:?}") };
        assert!(request.with_downstream && request.skip == ["a", "b"] && request.params["stadate"] == "2026-11-18");
    }
    let answer = post("", "").await.unwrap();
    assert_eq!(answer.headers()["location"], "/login");
}

#[tokio::test]
async fn preferences_are_kept_in_cookies() {
    let server = Server::start(FakeMaster::default()).await;
    let answer = server.get("/?lang=zh&theme=dark&tz=utc").await;
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    assert!(cookies.iter().any(|c| c.starts_with("ractorflow_lang=zh;")), "{cookies:?}");
    let request = server.client.get(server.url("/")).header("accept", "text/html");
    let html = request.header("cookie", "ractorflow_lang=zh; ractorflow_theme=dark; ractorflow_tz=utc").send().await;
    let html = html.unwrap().text().await.unwrap();
    assert!(html.contains("lang=\"zh-CN\" data-theme=\"dark\"") && html.contains("+00:00"));
}
