// The form of a Batch Run: asks Dagster for a run or a retry, and shows what has become of it.
// It only writes Batch Run Requests. A sensor in Dagster reads them within seconds; who asked is their owner.
(() => {
	const BATCH_RUN = "Batch Run";
	const STEP = "Batch Run Step";
	const REQUEST = "Batch Run Request";
	const RUN_NOW = "Run Pipeline Now";
	const RETRY = "Retry: ";
	const LOOK_AGAIN_MS = 5000;
	const NOT_PICKED_UP_S = 60;
	const STARTING_S = 600; // a retry that Dagster has started shows in the steps well before
	const ERROR_LENGTH = 300;
	const STEP_COLOURS = {
		Pending: "gray",
		Running: "blue",
		Success: "green",
		Failed: "red",
		Skipped: "orange",
	};
	const asking = new Set(); // names of the documents for which this browser is asking right now
	const escape = (text) => frappe.utils.escape_html(String(text ?? ""));

	frappe.ui.form.on(BATCH_RUN, {
		setup() {
			colour_the_steps();
		},
		onload(frm) {
			if (frm.is_new() && !frm.doc.run_date) {
				frm.set_value("run_date", frappe.datetime.add_days(frappe.datetime.now_date(), -1));
			}
		},
		refresh(frm) {
			stop_looking(frm);
			frm.set_intro("");
			show(frm);
		},
		on_hide(frm) {
			stop_looking(frm);
		},
	});

	function colour_the_steps() {
		const status = frappe.meta.get_docfield(STEP, "status");
		if (!status) return;
		status.formatter = (value) =>
			value
				? `<span class="indicator-pill ${STEP_COLOURS[value] || "gray"}">${escape(__(value))}</span>`
				: "";
	}

	async function show(frm) {
		const name = frm.docname;
		if (frm.is_new()) {
			if (!may_ask()) return;
			frm.disable_save(); // the button saves; a document that asks for nothing would help nobody
			offer_run(frm, 0);
			return;
		}
		if (!is_editable(frm)) frm.disable_save();
		let requests = [];
		try {
			requests = await requests_of(name);
		} catch {
			// Without an answer nothing is offered: what is asked already is not known. Looking again will tell.
			if (is_shown(frm, name)) look_later(frm, name, "");
			return;
		}
		if (!is_shown(frm, name)) return;
		if (is_link(frm.doc.dagster_url)) {
			frm.add_custom_button(__("Open in Dagster"), () =>
				window.open(frm.doc.dagster_url, "_blank", "noopener")
			);
		}
		tell(frm, requests);
		offer(frm, requests);
		if (is_moving(frm.doc, requests)) look_later(frm, name, picture(frm.doc.modified, requests));
	}

	// A site may have added fields of its own; ours are all read-only once the document is saved.
	function is_editable(frm) {
		return frm.fields.some(
			(field) => field.disp_status === "Write" && frappe.model.is_value_type(field.df.fieldtype)
		);
	}

	// -- what may be asked ----------------------------------------------------------------------------------------

	function may_ask() {
		return frappe.model.can_write(BATCH_RUN) && frappe.model.can_create(REQUEST);
	}

	function offer(frm, requests) {
		if (!may_ask() || asking.has(frm.docname) || pending(requests)) return;
		if (frm.doc.status === "Queued") {
			if (!requests.some((one) => one.action === RUN_NOW && one.status === "Started")) {
				offer_run(frm, next_attempt(requests, RUN_NOW, 0));
			}
			return;
		}
		if (frm.doc.status === "Running") return;
		for (const step of failed_steps(frm.doc)) {
			const action = RETRY + step.step_name;
			if (starting(requests, action, step)) continue;
			const attempt = next_attempt(requests, action, step.retry_count);
			frm.add_custom_button(
				escape(__("Retry: {0}", [step.step_name])),
				() => ask(frm, action, attempt),
				__("Retry")
			);
		}
	}

	function offer_run(frm, attempt) {
		if (asking.has(frm.docname)) return;
		frm.add_custom_button(__(RUN_NOW), () => ask(frm, RUN_NOW, attempt));
		frm.change_custom_button_type(__(RUN_NOW), null, "primary");
	}

	function failed_steps(doc) {
		return (doc.steps || []).filter((step) => step.status === "Failed");
	}

	// The number that makes the same click by two people the same request; what was answered may be asked again.
	function next_attempt(requests, action, retry_count) {
		const answered = requests.filter((one) => one.action === action && one.status !== "Pending");
		return Math.max(cint(retry_count), ...answered.map((one) => cint(one.attempt) + 1));
	}

	// The request that Dagster has started for this step, while the step does not show it yet.
	function starting(requests, action, step) {
		return requests.find(
			(one) =>
				one.action === action &&
				one.status === "Started" &&
				cint(one.attempt) >= cint(step.retry_count) &&
				seconds_since(one.creation) < STARTING_S
		);
	}

	function pending(requests) {
		return requests.find((one) => one.status === "Pending");
	}

	// The request that Dagster has started, while the document does not show it yet.
	function awaited(doc, requests) {
		if (doc.status === "Running") return undefined;
		if (doc.status === "Queued") return requests.find((one) => one.status === "Started");
		return failed_steps(doc)
			.map((step) => starting(requests, RETRY + step.step_name, step))
			.find(Boolean);
	}

	function is_moving(doc, requests) {
		return doc.status === "Running" || Boolean(pending(requests) || awaited(doc, requests));
	}

	// -- asking ---------------------------------------------------------------------------------------------------

	async function ask(frm, action, attempt) {
		const begun_as = frm.docname;
		if (asking.has(begun_as)) return;
		asking.add(begun_as);
		take_buttons_away(frm);
		let name = begun_as;
		try {
			if (frm.is_new() || frm.is_dirty()) {
				// Without a function for errors, the promise of save() never ends when the document is refused.
				const saved = frm.save("Save", null, null, () => {});
				asking.add((name = await saved_name(frm, saved)));
			}
			if (!name) return;
			await insert_request(name, action, attempt);
		} finally {
			asking.delete(begun_as);
			asking.delete(name);
			if (is_shown(frm, name || begun_as)) {
				if (frm.is_new() || frm.is_dirty()) frm.refresh();
				else frm.reload_doc();
			}
		}
	}

	// The name under which the document was saved; nothing when it was not.
	async function saved_name(frm, saved) {
		await saved;
		return frm.is_new() || frm.is_dirty() ? "" : frm.docname;
	}

	async function insert_request(name, action, attempt) {
		let asked_already = false;
		try {
			await frappe.call({
				method: "frappe.client.insert",
				args: { doc: { doctype: REQUEST, batch_run: name, action, attempt } },
				error_handlers: {
					DuplicateEntryError: () => {
						asked_already = true;
					},
				},
			});
		} catch {
			if (!asked_already) return; // the desk has shown what the server said
		}
		frappe.show_alert({
			message: asked_already
				? __("This has been asked already.")
				: __("Asked. Dagster looks every few seconds."),
			indicator: asked_already ? "orange" : "green",
		});
	}

	function take_buttons_away(frm) {
		frm.remove_custom_button(__(RUN_NOW));
		for (const step of failed_steps(frm.doc)) {
			frm.remove_custom_button(escape(__("Retry: {0}", [step.step_name])), __("Retry"));
		}
	}

	// -- what has become of it ------------------------------------------------------------------------------------

	function tell(frm, requests) {
		const waiting = pending(requests);
		const latest = requests[requests.length - 1];
		const started = awaited(frm.doc, requests);
		const [failed] = failed_steps(frm.doc);
		if (waiting) {
			const late = is_late(waiting);
			frm.set_intro(
				escape(
					late
						? __("{0} asked for “{1}” at {2}, and Dagster has not picked it up: is it running, and its sensor batch_run_desk on?", told(waiting))
						: __("{0} asked for “{1}” at {2}. Dagster looks every few seconds.", told(waiting))
				),
				late ? "orange" : "blue"
			);
		} else if (started) {
			frm.set_intro(
				escape(__("“{1}”, which {0} asked for at {2}, has been started. Its steps will appear here.", told(started))),
				"blue"
			);
		} else if (latest && latest.status === "Refused") {
			frm.set_intro(
				escape(
					__("“{1}”, which {0} asked for at {2}, was refused: {3}", [
						...told(latest),
						plain(latest.answer) || __("no reason was given"),
					])
				),
				"red"
			);
		} else if (failed && frm.doc.status !== "Running") {
			frm.set_intro(escape(__("{0} failed: {1}", [failed.step_name, shortened(failed.error_message)])), "red");
		}
	}

	// ERPNext stores texts as HTML: what was "<x>" is "&lt;x&gt;" in the document.
	function plain(text) {
		return new DOMParser().parseFromString(text || "", "text/html").body.textContent.trim();
	}

	// The whole text is in the row of the step.
	function shortened(text) {
		const line = plain(text) || __("no error was recorded");
		return line.length > ERROR_LENGTH ? `${line.slice(0, ERROR_LENGTH)}…` : line;
	}

	function told(request) {
		return [request.owner, request.action, frappe.datetime.str_to_user(request.creation)];
	}

	// -- looking again --------------------------------------------------------------------------------------------

	// `shown` is the picture that the form shows; the form is loaded again when there is another one.
	function look_later(frm, name, shown) {
		stop_looking(frm);
		frm.batch_run_timer = setTimeout(() => look(frm, name, shown), LOOK_AGAIN_MS);
	}

	function stop_looking(frm) {
		clearTimeout(frm.batch_run_timer);
		frm.batch_run_timer = null;
	}

	async function look(frm, name, shown) {
		if (!is_shown(frm, name)) return;
		let changed = false;
		if (!is_in_use(frm, name)) {
			try {
				const [found, requests] = await Promise.all([
					quietly("frappe.client.get_value", {
						doctype: BATCH_RUN,
						filters: name,
						fieldname: "modified",
					}),
					requests_of(name),
				]);
				changed = picture(found.modified, requests) !== shown;
			} catch {
				changed = false; // ERPNext is away for a moment: what is shown stays, and the next look may succeed
			}
		}
		// While the answer came the person may have left, or begun to write: what they write is never lost.
		if (!is_shown(frm, name)) return;
		if (changed && !is_in_use(frm, name)) frm.reload_doc();
		else look_later(frm, name, shown);
	}

	function picture(modified, requests) {
		const waiting = pending(requests);
		return JSON.stringify([modified, requests, Boolean(waiting && is_late(waiting))]);
	}

	function is_late(request) {
		return seconds_since(request.creation) > NOT_PICKED_UP_S;
	}

	function is_shown(frm, name) {
		const [view, doctype, shown] = frappe.get_route();
		return view === "Form" && doctype === BATCH_RUN && shown === name && frm.docname === name;
	}

	function is_in_use(frm, name) {
		return (
			frm.is_dirty() ||
			asking.has(name) ||
			document.hidden ||
			Boolean(frappe.ui.form.get_open_grid_form()) // somebody reads the error of a step
		);
	}

	// -- the server -----------------------------------------------------------------------------------------------

	// Who may not read requests sees the runs, and nothing of who asked for what.
	async function requests_of(name) {
		if (!frappe.model.can_read(REQUEST)) return [];
		return quietly("frappe.client.get_list", {
			doctype: REQUEST,
			filters: { batch_run: name },
			fields: ["name", "action", "attempt", "status", "answer", "owner", "creation"],
			order_by: "creation asc, name asc",
			limit_page_length: 0,
		});
	}

	// frappe.call shows a dialog for every failure; nobody has asked for the one that a timer makes.
	async function quietly(method, args) {
		const response = await fetch(`/api/method/${method}`, {
			method: "POST",
			headers: {
				Accept: "application/json",
				"Content-Type": "application/json",
				"X-Frappe-CSRF-Token": frappe.csrf_token,
			},
			body: JSON.stringify(args),
		});
		if (!response.ok) throw new Error(`HTTP ${response.status}`);
		return (await response.json()).message;
	}

	// Both are times of the site, whatever the zone of the browser.
	function seconds_since(creation) {
		return moment(frappe.datetime.system_datetime()).diff(moment(creation), "seconds");
	}

	function is_link(url) {
		return /^https?:\/\//.test(url || "");
	}
})();
