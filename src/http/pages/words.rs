//! Our own words on the pages, in English and Chinese. What users wrote is never translated.
//!
//! One row per text: a language that lacks one does not compile. `{}` is filled in by `fill`.

pub use crate::model::message::Lang;

impl Lang {
    /// For the `lang` attribute.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Zh => "zh-CN",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "en" => Some(Lang::En),
            "zh" | "zh-CN" => Some(Lang::Zh),
            _ => None,
        }
    }

    /// The better of the two by `Accept-Language`; English when neither is asked for.
    pub fn from_accept(header: &str) -> Self {
        let weight = |wanted: &str| {
            header
                .split(',')
                .filter_map(|part| {
                    let mut pieces = part.split(';');
                    let tag = pieces.next()?.trim().to_ascii_lowercase();
                    let quality = pieces.find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
                    (tag == wanted || tag.starts_with(&format!("{wanted}-"))).then_some(quality)
                })
                .fold(0.0_f32, f32::max)
        };
        if weight("zh") > weight("en") { Lang::Zh } else { Lang::En }
    }

    pub fn words(self) -> &'static Words {
        match self {
            Lang::En => &EN,
            Lang::Zh => &ZH,
        }
    }
}

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        pub struct Words { $(pub $name: &'static str,)* }
        pub static EN: Words = Words { $($name: $en,)* };
        pub static ZH: Words = Words { $($name: $zh,)* };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh),)*];
    };
}

words! {
    skip: "Skip to content", "跳到正文";
    nav_main: "Main", "主导航";
    home: "Home", "首页";
    workflows: "Workflows", "工作流";
    instances: "Instances", "实例";
    cluster: "Cluster", "集群";
    monitor: "Data monitor", "数据监控";
    links: "Links", "链接";
    links_note: "Databases and file systems by name. What a worker has in its own conf/ goes before what the cluster keeps.", "按名称使用的数据库和文件系统。工作机自己 conf/ 中的链接优先于集群保存的链接。";
    links_none: "There is none yet. Nodes such as sql, transfer and ssh use links by name.", "还没有链接。sql、transfer、ssh 等节点按名称使用链接。";
    link_add: "Add a link", "添加链接";
    link_name: "name", "名称";
    link_type: "type", "类型";
    link_place: "address, user", "地址, 用户";
    link_from: "from", "来源";
    link_used_by: "used by", "使用者";
    link_test: "Test", "测试";
    link_test_all: "Test from all workers", "从所有工作机测试";
    link_of_cluster: "cluster", "集群";
    link_of_files: "file of {}", "{} 的文件";
    link_own_file: "its own file", "自己的文件";
    link_file_first: "there the file counts", "在该处以文件为准";
    link_faults_of: "Files of {}", "{} 的文件";
    link_database: "database", "数据库";
    link_file: "file system", "文件系统";
    link_url: "URL", "URL 地址";
    link_url_hint: "of a database, as JDBC writes it, without a password", "数据库的 JDBC 地址，不含密码";
    link_host: "host", "主机";
    link_host_hint: "of a file system", "用于文件系统";
    link_port: "port", "端口";
    link_username: "user", "用户";
    link_password: "password", "密码";
    link_password_hint: "It is kept sealed and never shown. ${env:NAME} and ${file:PATH} are looked up where the link is used.", "加密保存，从不显示。${env:NAME} 和 ${file:PATH} 在使用链接的主机上读取。";
    link_password_stays: "Left blank, it stays as it is.", "留空则保持不变。";
    link_no_password: "without a password", "不使用密码";
    link_properties: "properties", "属性";
    link_properties_hint: "NAME=VALUE, one in each line. A value that reads *** stays as it is.", "每行一个 NAME=VALUE。值为 *** 时保持不变。";
    link_save: "Save", "保存";
    link_remove: "Remove", "删除";
    link_remove_preview: "The cluster forgets it. Workflows that name it: {}. Their nodes fail from then on, unless a worker has it in its own file.", "集群将不再保存它。使用它的工作流：{} 个。此后这些节点会失败，除非工作机自己的文件中有此链接。";
    link_conflict: "In its own file has it, too: {}. There the file counts, not what stands here.", "以下工作机自己的文件中也有：{}。在那里以文件为准，而不是此处的内容。";
    link_kept: "Kept by the cluster", "集群保存的内容";
    link_changed: "changed by {}, {}", "由 {} 修改, {}";
    link_only_files: "The cluster does not keep it. It stands in the file of: {}.", "集群没有保存它。它在以下工作机的文件中：{}。";
    link_unused: "No workflow names it.", "没有工作流使用它。";
    link_tried: "Tried just now", "刚才的测试";
    link_result: "result", "结果";
    link_steps: "steps passed", "已通过的步骤";
    link_opens: "opens", "可以打开";
    link_failed_at: "failed: {}", "失败：{}";
    step_name: "name", "名称";
    step_config: "what is written", "配置";
    step_driver: "driver", "驱动";
    step_resolve: "name of the host", "解析主机名";
    step_connect: "connection", "连接";
    step_tls: "TLS or host key", "TLS 或主机密钥";
    step_login: "login", "登录";
    step_query: "query", "查询";
    step_path: "path", "路径";
    step_worker: "worker", "工作机";
    live: "live", "实时";
    live_paused: "paused", "已暂停";
    live_lost: "reconnecting", "重新连接中";
    no_live: "reload for news", "刷新查看最新";
    cluster_zone: "Zone of the cluster", "集群时区";
    utc: "UTC", "协调世界时 UTC";
    time_zone: "Time zone", "时区";
    other_language: "中文", "English";
    to_dark: "Switch to dark", "切换到深色";
    to_light: "Switch to light", "切换到浅色";
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出登录";
    signed_in: "signed in", "已登录";
    served_by: "served by {}", "由 {} 提供";
    state_of: "state of {}", "数据时间 {}";
    leader_term: "leader {}, term {}", "主节点 {}，任期 {}";
    no_leader: "no active master", "没有活动的主节点";
    api: "API and schema", "接口文档";
    plain_text: "Plain text of this page", "本页纯文本";
    stale_banner: "Masters are switching. What you see is {} s old; changes are not possible for the moment.", "主备切换中。当前显示的是 {} 秒前的数据，暂时不能操作。";
    stale_short: "last known data", "最近一次的数据";

    verdict: "Verdict", "总体状态";
    n_failed: "{} failed", "{} 个失败";
    n_running: "{} running", "{} 个运行中";
    n_queued: "{} queued", "{} 个排队";
    n_due: "{} more due today", "今日还将触发 {} 个";
    n_load_errors: "{} files do not load", "{} 个文件无法加载";
    one_load_error: "1 file does not load", "1 个文件无法加载";
    nothing_failed: "nothing failed", "没有失败";
    cluster_healthy: "cluster healthy", "集群健康";
    master_down: "a master is down", "有主节点离线";
    cluster_unhealthy: "cluster needs a look", "集群需要关注";
    votes: "votes {}/{}", "选票 {}/{}";
    slots_busy: "{} of {} slots busy", "槽位占用 {}/{}";
    workers_up: "{} of {} workers up", "工作机在线 {}/{}";
    attention: "Needs attention", "需要关注";
    attention_note: "A row leaves when it is fixed, not when it is old", "问题解决后才会消失，不会因时间久而消失";
    attention_empty: "Nothing needs you. Failures, stuck nodes and files that do not load show up here.", "目前没有需要处理的事。失败、卡住的节点和无法加载的文件会显示在这里。";
    rerun_from_failed: "Rerun from failed", "从失败处续跑";
    show_log: "Log", "日志";
    show_why: "Why?", "原因";
    show_error: "Show the error", "查看错误";
    running: "Running", "运行中";
    under_way: "Under way", "进行中";
    n_paused: "{} paused", "{} 个挂起";
    stop: ". ", "。";
    comma: ", ", "，";
    colon: ": ", "：";
    running_empty: "Nothing runs right now. To see something run:", "当前没有运行中的实例。试试：";
    tick_note: "tick in the bar = where it usually is by now", "竖线 = 按通常耗时此刻应到的位置";
    today_plan: "Today's plan", "今日计划";
    n_left_today: "{} more today", "今日还剩 {} 次";
    today_note: "no workflow fires oftener than what it waits for succeeds", "触发次数不超过前置工作流的成功次数";
    today_empty: "Nothing fires any more today.", "今天不再有触发。";
    today_cut: "There are more workflows than are shown.", "工作流太多，未全部列出。";
    col_left: "left", "剩余";
    col_next: "next", "下次";
    col_waits: "waits for", "前置";
    upcoming: "Upcoming", "即将触发";
    upcoming_empty: "No workflow has a fire ahead. Give one a cron:", "没有待触发的工作流。给它加一个 cron：";
    last_14_days: "Last 14 days", "最近 14 天";
    per_day: "Instances per day by state", "每天各状态的实例数";
    day_label: "{}: {} succeeded, {} failed, {} killed", "{}：成功 {}，失败 {}，杀死 {}";
    last_finished: "Last finished", "最近结束";
    finished_empty: "Nothing has finished yet.", "还没有结束的实例。";
    history: "history", "历史";
    all: "all", "全部";

    col_workflow: "workflow", "工作流";
    col_progress: "progress (nodes)", "进度（节点）";
    col_now_on: "now on", "正在执行";
    col_elapsed: "elapsed", "已用时";
    col_usual: "usual", "通常";
    col_at: "at", "时间";
    col_params: "workflow and parameters as they will render", "工作流与将得到的参数";
    col_state: "state", "状态";
    col_ended: "ended", "结束";
    col_took: "took", "耗时";
    col_message: "message", "说明";
    col_last_run: "last run", "最近一次";
    col_14_runs: "last 14 runs (height = time)", "最近 14 次（高度 = 耗时）";
    col_schedule: "schedule", "调度";
    version: "version", "版本";
    col_version: "version, owner", "版本, 负责人";
    col_enabled: "enabled", "启用";
    col_node: "node", "节点";
    col_type: "type", "类型";
    col_attempt: "attempt", "尝试";
    col_worker: "worker", "工作机";
    col_waited: "waited", "等待";
    col_queued: "queued", "排队";
    col_ran: "ran", "执行";
    col_exit: "exit", "退出码";
    col_started: "started", "开始";
    col_created: "created", "创建";
    col_instance: "instance", "实例";
    col_kind: "how", "方式";
    col_after: "after", "前置";
    col_roles: "roles", "角色";
    col_slots: "slots", "槽位";
    col_labels: "labels", "标签";
    address: "address", "地址";
    col_address: "version, address", "版本, 地址";
    col_up_for: "up for", "运行时长";
    col_name: "name", "名称";
    col_value: "value", "值";
    col_origin: "from", "来源";
    col_hash: "content", "内容";
    col_bytes: "bytes", "字节";
    files: "Files", "附件";
    files_note: "They travel with the version and lie beside the node when it runs.", "随版本一起保存，运行时位于节点的工作目录中。";
    col_changes: "changes", "变更";
    col_bounds: "bounds", "上下限";
    col_min: "minimum", "下限";
    col_max: "maximum", "上限";
    col_recent: "recently", "近期";
    col_measured: "measured", "检测时间";
    col_kept: "kept", "保留";
    col_business_date: "business date", "业务日期";

    act: "Act", "操作";
    pause: "Pause", "挂起";
    resume: "Resume", "恢复";
    kill: "Kill", "杀死";
    rerun: "Rerun", "重跑";
    mark: "Mark node", "标记节点";
    delete: "Delete", "删除";
    trigger: "Trigger", "触发";
    run_alone: "Run alone", "单独运行";
    enable: "Switch on", "启用";
    disable: "Switch off", "停用";
    reset: "Reset readiness", "重置就绪状态";
    cancel: "Cancel", "取消";
    close: "Close", "关闭";
    reason: "Reason", "原因说明";
    reason_hint: "kept in the history of the instance", "会记录在实例历史中";
    more: "More", "更多";
    sign_in_to_act: "Sign in to change anything: open the link that start-cluster printed, or paste the token of this cluster on the sign-in page:", "登录后才能操作：打开 start-cluster 打印的链接，或在登录页粘贴本集群的令牌：";
    go_on: "on", "已启用";
    go_off: "off", "已停用";

    workflows_sub: "A file copied into xmlconfig/ is live within 2 s.", "复制到 xmlconfig/ 的文件 2 秒内生效。";
    folders: "Folders", "目录";
    filter: "Filter", "筛选";
    filter_placeholder: "name or description", "名称或描述";
    any_last_run: "any last run", "不限最近状态";
    has_error: "has an error", "有错误";
    apply_filter: "Apply", "应用";
    workflows_empty: "No workflow yet. Copy one in, it is live within 2 s:", "还没有工作流。复制一个进来，2 秒内生效：";
    no_match: "Nothing matches this filter.", "没有符合条件的内容。";
    does_not_load: "does not load", "无法加载";
    since: "since {}", "自 {}";
    still_runs: "v{} still runs.", "v{} 仍在运行。";
    never_loaded: "It has never loaded.", "尚未成功加载过。";
    no_schedule: "no schedule", "无调度";
    next_at: "next {}", "下次 {}";
    n_of_limit: "{}/{} running", "运行 {}/{}";
    file_gone: "file removed", "文件已删除";
    grey_stub: "grey stub = no run", "灰色短柱 = 未运行";
    next_page: "Next page", "下一页";
    first_page: "First page", "第一页";

    monitor_sub: "Numbers that data-monitor nodes measured, and the bounds that they were held to.", "data-monitor 节点检测到的数值及其上下限。";
    monitor_empty: "Nothing has been measured yet. A workflow with a data-monitor node does it, such as this one:", "还没有检测数据。含有 data-monitor 节点的工作流会产生检测数据，例如：";
    measured_chart: "Value and bounds", "数值与上下限";
    measured_label: "{}: value {}, minimum {}, maximum {}, instance #{}", "{}：值 {}，下限 {}，上限 {}，实例 #{}";
    measured_recent: "{} measurements, {} out of bounds", "检测 {} 次，越界 {} 次";
    measured_empty: "Nothing was measured in this time.", "此时段没有检测数据。";
    measurements: "Measurements", "检测记录";
    out_of_bounds: "out of bounds", "越界";

    graph: "Graph", "流程图";
    graph_of: "Graph of {}", "{} 的流程图";
    live_of: "as in", "状态取自";
    same_as_table: "The same as a table", "以表格查看";
    graph_around: "Around {}, out of {} nodes. A card with + stands for those not drawn; a click on a node moves there.", "{} 附近的节点（共 {} 个）。带 + 的卡片表示未画出的节点；点击节点可移到那里。";
    thick_line: "thick line = longest path", "粗线 = 关键路径";
    attempt_note: "2/3 = attempt 2 of 3", "2/3 = 第 2 次尝试，共 3 次";
    next_fires: "Next fires, parameters as they will render", "接下来的触发与将得到的参数";
    next_fires_empty: "It does not fire by itself.", "不会自动触发。";
    fires: "fires", "触发时间";
    written_as: "written as", "原始写法";
    waits_for: "waits for {}", "等待 {}";
    mailed_to: "Mail to {}", "邮件发给 {}";
    last_20_runs: "Last 20 runs", "最近 20 次运行";
    runs_note: "duration, colour = end state", "高度 = 耗时，颜色 = 结束状态";
    runs_empty: "It has not run yet. To run it now:", "还没有运行过。立即运行：";
    leads_to: "Waits for and leads to", "前置与后置工作流";
    after: "after", "前置";
    before: "leads to", "后置";
    ready: "ready", "已就绪";
    not_ready: "not yet", "未就绪";
    missing_workflow: "not loaded", "未加载";
    alone: "It waits for no workflow, and none waits for it.", "没有前置或后置工作流。";
    versions: "Versions", "版本";
    current: "current", "当前";
    added: "added", "加载时间";
    parameters: "Parameters", "参数";
    outputs: "Outputs", "输出";
    owner: "Owner", "负责人";
    file: "File", "文件";
    description: "Description", "描述";
    why_not_firing: "Why does it not fire?", "为什么没有触发？";
    has_no_schedule: "It has no schedule", "没有调度";
    how_to_run_it: "It runs when somebody starts it: here with Trigger, or on the command line. To let it run by itself, give it a coordinator with a trigger or a depend-list.", "需要有人启动才会运行：在此页面点“触发”，或使用命令行。要让它自动运行，请在 coordinator 中加上 trigger 或 depend-list。";
    trigger_title: "Trigger {}", "触发 {}";
    trigger_alone: "run only this workflow; it affects no others", "仅运行此工作流，不影响其他";
    trigger_ready: "run it and mark it ready for its followers", "运行，并使后置工作流就绪";
    trigger_downstream: "also run everything downstream", "同时运行全部后置工作流";
    what_follows: "What follows", "影响范围";
    skip_nodes: "Skip nodes (names, separated by commas)", "跳过的节点（名称，用逗号分隔）";
    downstream_list: "Downstream: {}", "后置：{}";
    definition_of: "Definition", "定义";
    source_text: "Source", "源文本";

    instance_of: "Instance", "实例";
    summary: "Summary", "概要";
    nodes: "Nodes", "节点";
    nodes_word: "nodes", "个节点";
    n_nodes: "{} nodes", "{} 个节点";
    nodes_done: "{} of {} nodes done", "已完成 {}/{} 个节点";
    started_by: "Started by", "触发方式";
    started_at: "Started", "开始时间";
    elapsed: "Elapsed", "已用时";
    took: "Took", "耗时";
    not_started: "not started yet", "尚未开始";
    created_at: "Created", "创建时间";
    never_started: "never started", "从未开始";
    usually: "usually {}", "通常 {}";
    generation: "Generation", "第几代";
    business_date: "Business date", "业务日期";
    nominal_time: "Nominal time", "计划时间";
    terms: "Lived through terms", "经历的任期";
    newer_exists: "v{} exists by now", "已有 v{}";
    runs_as: "runs as {}", "按 {} 运行";
    kind_start: "start", "开始";
    kind_end: "end", "结束";
    kind_fork: "fork", "分叉";
    kind_join: "join", "汇合";
    kind_kill: "kill", "终止";
    by_file: "file", "文件";
    search: "Search", "搜索";
    search_hint: "workflow or #number", "工作流或 #编号";
    kind_scheduled: "schedule {}", "调度 {}";
    kind_triggered: "trigger by {}", "手动触发 {}";
    kind_run: "run by {}", "单独运行 {}";
    kind_backfill: "backfill", "补数";
    kind_sub: "sub-workflow", "子工作流";
    gantt: "Gantt", "甘特图";
    gantt_waited: "waited for dependency", "等待前置";
    gantt_queued: "queued for a slot", "排队等槽位";
    gantt_ran: "ran", "执行";
    gantt_retry: "pause before retry", "重试前等待";
    gantt_note: "outlined = longest path", "描边 = 关键路径";
    gantt_window: "The first {} of the table below, out of {} nodes.", "此处为下表中的前 {} 个节点，共 {} 个。";
    ran_queued: "ran (queued)", "执行（排队）";
    now: "now", "现在";
    why_not_running: "Why is {} not running?", "{} 为什么没有运行？";
    why_instance: "Why does it not go on?", "为什么没有继续？";
    to_unblock: "To unblock:", "解决办法：";
    attempts_of: "Attempts of {}", "{} 的各次尝试";
    no_attempt: "No attempt yet.", "尚未执行。";
    log_of: "Log: {}", "日志：{}";
    attempt_n: "attempt {}", "第 {} 次";
    following: "Following", "跟随中";
    log_ended: "End of log", "日志结束";
    log_more: "End of log so far. New lines appear here", "已到末尾，新内容会显示在这里";
    log_empty: "No line yet.", "还没有输出。";
    log_ended_empty: "Ended without output.", "已结束，没有输出。";
    retries_at: "Tries again at {}", "{} 重试";
    log_none: "Choose a node to see its log.", "选择一个节点查看日志。";
    log_search: "Search the whole log", "搜索整个日志";
    log_hit: "1 line matches", "1 行匹配";
    log_hits: "{} lines match", "{} 行匹配";
    log_line: "1 line", "共 1 行";
    log_lines: "{} lines", "共 {} 行";
    log_earlier: "Earlier lines", "更早的内容";
    log_cut: "lines between head and tail were dropped at the size limit", "超过大小限制，中间部分已省略";
    download: "Download this attempt", "下载本次日志";
    kept: "kept from an earlier generation", "沿用前一代的结果";
    forced: "forced", "强制";
    exit_code: "exit {}", "退出码 {}";
    signal: "signal {}", "信号 {}";
    rerun_title: "Rerun #{}", "重跑 #{}";
    rerun_all: "every node", "整个实例";
    rerun_failed: "what failed and what follows it", "失败的节点及其后续";
    rerun_from: "this node and what follows it", "此节点及其后续";
    rerun_only: "this node alone", "仅此节点";
    rerun_preview: "Nodes that run again: {}; that keep their result: {}.", "重跑节点 {} 个，保留结果 {} 个。";
    rerun_follows: "{} (+{} after it)", "{}（后续 {} 个）";
    definition: "Definition", "定义版本";
    version_latest: "newest", "最新版本";
    version_same: "same as this instance", "与本实例相同";
    from_which: "Node", "节点";
    kill_title: "Kill #{}", "杀死 #{}";
    kill_preview: "Attempts running now: {}. They get TERM, then KILL after the grace time. Nothing after them starts.", "有 {} 个尝试正在运行，会先发送 TERM，宽限时间后 KILL；后续节点不再启动。";
    kill_force: "KILL at once, without grace", "立即 KILL，不宽限";
    reset_preview: "Readiness begins anew: prerequisites count as unmet, fires that wait are dropped.", "就绪状态重新计算：前置视为未满足，等待中的触发被丢弃。";
    drain_preview: "It takes no new attempts; those that run go on.", "不再接收新任务，运行中的继续执行。";
    pause_title: "Pause #{}", "挂起 #{}";
    pause_preview: "Running attempts go on; no further node starts until it is resumed.", "运行中的继续执行；恢复之前不再启动新节点。";
    mark_title: "Mark a node of #{}", "标记 #{} 的节点";
    mark_as: "as", "标记为";
    mark_succeeded: "succeeded", "成功";
    mark_skipped: "skipped", "跳过";
    mark_failed: "failed", "失败";
    nodes_urgent: "{} of {} nodes here, those that need a look first. A state above shows only its nodes.", "此处 {} 个节点，共 {} 个，需要关注的在前。点击上面的状态只看该状态的节点。";
    attempts_part: "{} of {} are here", "此处 {} 个，共 {} 个";
    nodes_part: "{} of {} nodes are here.", "此处 {} 个节点，共 {} 个。";
    leads_on: "leads to", "后继";
    first_one: "first", "首页";
    source_part: "Bytes {} to {} of {}.", "第 {} 至 {} 字节，共 {} 字节。";
    previous: "previous", "上一个";
    following_one: "next", "下一个";
    next_problem: "next problem", "下一个问题";
    any_state: "any state", "不限状态";
    instances_placeholder: "workflow, description or #number", "工作流、描述或 #编号";
    from_day: "from", "从";
    to_day: "to", "到";
    creator: "creator", "创建人";
    instances_empty: "No instance yet. To start one:", "还没有实例。启动一个：";

    n_errors: "{} errors", "{} 个错误";
    warnings: "Warnings", "警告";
    n_warnings: "warnings: {}", "警告: {}";
    one_error: "1 error", "1 个错误";
    found_at: "Found {}", "发现于 {}";
    version_still_runs: "Version v{} still runs.", "版本 v{} 仍在运行。";
    nothing_stopped: "Nothing is stopped; only the change is not live.", "一切照常运行，只是修改没有生效。";
    correct_it: "Correct the file and save it: it loads within 2 s.", "改正并保存文件后，2 秒内重新加载。";
    default_of: "default: {}", "默认：{}";
    not_running_at_all: "No version of it runs.", "没有任何版本在运行。";
    hint: "Hint.", "提示。";
    suggestion: "Suggested change", "建议修改";
    line_column: "line {}, column {}", "第 {} 行第 {} 列";
    also_see: "see {}:{}", "参见 {}:{}";
    check_before: "Check before you copy", "复制之前先检查";
    check_note: "It needs no server. Exit code 7: definition invalid.", "无需服务器。退出码 7：定义无效。";
    definition_error: "definition error", "定义错误";

    healthy: "healthy", "健康";
    unhealthy: "needs a look", "需要关注";
    leads: "{} leads, term {}", "{} 为主，任期 {}";
    nobody_leads: "nobody leads", "没有主节点";
    masters: "Masters", "主节点";
    cluster_nodes: "Cluster nodes", "集群节点";
    leader: "leader", "主";
    role_master: "master", "主节点";
    role_worker: "worker", "工作机";
    role_http: "http", "HTTP 服务";
    standby: "standby", "备";
    term: "term", "任期";
    applied: "applied", "已应用";
    lag: "entries behind", "落后条数";
    sees_leader: "sees leader", "认定的主";
    last_seen: "last seen", "最近心跳";
    running_attempts: "Running attempts", "运行中的尝试";
    no_attempts: "No attempt runs.", "没有运行中的尝试。";
    events: "Events", "事件";
    no_events: "Nothing to tell.", "暂无事件。";
    newest_events: "newest", "最新";
    older_events: "older", "更早";
    slots_used: "{} of {} used", "已用 {}/{}";
    no_workers: "No worker is up, so nothing can run. Start one:", "没有在线的工作机，任务无法运行。启动一个：";
    drain: "Drain", "排空";
    undrain: "Undrain", "取消排空";
    declare_dead: "Declare dead", "宣告死亡";
    declare_dead_title: "Declare {} dead", "宣告 {} 死亡";
    declare_dead_preview: "Its attempts ({}) count as dead and may run again elsewhere. Do this only when you have seen that its processes are gone: else a task may run twice.", "其 {} 个尝试将视为已死，可能在别处重新执行。请确认进程确已消失，否则任务可能执行两次。";

    login_title: "Sign in", "登录";
    login_press: "This link signs this browser in, once.", "此链接可让本浏览器登录一次。";
    login_how: "Open the one-time link that start-cluster printed, or paste the token. On the machine of the cluster:", "打开 start-cluster 打印的一次性链接，或粘贴令牌。在集群所在机器上执行：";
    login_used: "That was not accepted: a link works once and soon ends. The token is here:", "未被接受：链接只能使用一次，且很快失效。令牌在这里：";
    login_token: "Content of conf/admin.token", "conf/admin.token 的内容";
    problem_retry: "Try again", "重试";
    problem_request: "Request {}", "请求编号 {}";
    problem_back: "Back to the start page", "返回首页";
}

/// Puts the values, in order, where `{}` stands.
pub fn fill(text: &str, values: &[&dyn std::fmt::Display]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut values = values.iter();
    let mut pieces = text.split("{}").peekable();
    while let Some(piece) = pieces.next() {
        out.push_str(piece);
        if pieces.peek().is_some()
            && let Some(value) = values.next()
        {
            out.push_str(&value.to_string());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_every_text_with_the_same_places() {
        for (name, en, zh) in ALL {
            assert!(!en.is_empty() && !zh.is_empty(), "{name}");
            assert_eq!(en.matches("{}").count(), zh.matches("{}").count(), "{name}");
        }
    }

    #[test]
    fn chinese_is_not_english_left_over() {
        const SAME: [&str; 1] = ["other_language"];
        for (name, en, zh) in ALL.iter().filter(|(name, ..)| !SAME.contains(name)) {
            assert_ne!(en, zh, "{name}");
            assert!(!zh.is_ascii(), "{name}");
        }
    }

    #[test]
    fn the_language_follows_the_browser() {
        assert_eq!(Lang::from_accept("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(Lang::from_accept("en-US,en;q=0.9,zh;q=0.8"), Lang::En);
        assert_eq!(Lang::from_accept("de,zh;q=0.5"), Lang::Zh);
        assert_eq!(Lang::from_accept(""), Lang::En);
        assert_eq!(Lang::from_accept("zhx"), Lang::En);
    }

    #[test]
    fn values_are_filled_in_and_missing_ones_left_out() {
        assert_eq!(fill("{} of {}", &[&1, &"x"]), "1 of x");
        assert_eq!(fill("{} of {}", &[&1]), "1 of ");
        assert_eq!(fill("none", &[&1]), "none");
    }
}
