// As much of ERPNext's desk (v15) as the script of the Batch Run form uses, with the traits that matter to it:
// labels of buttons are HTML, a refresh takes all custom buttons away, and the promise of save() never ends when the
// document is refused and no function for errors is given (frappe/public/js/frappe/form/form.js, ui/page.js).
// Requests go to the server that served the page; what the user may do is in window.allowed.
window.handlers = {};
window.alerts = [];
window.dialogs = [];
window.reloads = 0;
window.__ = (text, values = []) => text.replace(/\{(\d)\}/g, (_, at) => values[at]);
window.cint = (value) => parseInt(value, 10) || 0;
window.moment = (text) => ({
	at: Date.parse(text.replace(" ", "T") + "Z"),
	diff(other) {
		return Math.trunc((this.at - other.at) / 1000);
	},
});

// Tests wait until the page has nothing under way: every answer read, and what follows from it done.
window.under_way = 0;
const real_fetch = window.fetch;
window.fetch = async (...args) => {
	window.under_way += 1;
	try {
		const answer = await real_fetch(...args);
		return new Response(await answer.text(), { status: answer.status });
	} finally {
		window.under_way -= 1;
	}
};
window.settle = async () => {
	for (let quiet = 0; quiet < 20; quiet = window.under_way ? 0 : quiet + 1) {
		const { port1, port2 } = new MessageChannel();
		await new Promise((turn) => {
			port1.onmessage = turn;
			port2.postMessage(0);
		});
		port1.close();
	}
};

async function post(method, args) {
	const response = await fetch(`/api/method/${method}`, {
		method: "POST",
		headers: { "Content-Type": "application/json", Accept: "application/json" },
		body: JSON.stringify(args),
	});
	const body = await response.json();
	return { ok: response.ok, body };
}

const status_field = {};
window.frappe = {
	csrf_token: "token",
	ui: {
		form: {
			on: (doctype, events) => (window.handlers[doctype] = events),
			get_open_grid_form: () => window.open_row,
		},
	},
	model: {
		can_read: (doctype) => window.allowed.read.includes(doctype),
		can_write: (doctype) => window.allowed.write.includes(doctype),
		can_create: (doctype) => window.allowed.create.includes(doctype),
		is_value_type: (fieldtype) => !["Section Break", "Column Break", "Table"].includes(fieldtype),
	},
	meta: { get_docfield: () => status_field },
	utils: {
		escape_html: (text) =>
			text.replace(
				/[&<>"'`=/]/g,
				(one) =>
					({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#x60;", "=": "&#x3D;", "/": "&#x2F;" })[one]
			),
	},
	datetime: {
		now_date: () => window.site_now.slice(0, 10),
		system_datetime: () => window.site_now,
		add_days: (day, days) => new Date(Date.parse(day) + days * 86400000).toISOString().slice(0, 10),
		str_to_user: (text) => text.slice(0, 16),
	},
	get_route: () => window.route,
	show_alert: ({ message }) => window.alerts.push(message),
	async call({ method, args, error_handlers }) {
		const { ok, body } = await post(method, args);
		if (ok) return body;
		const handler = (error_handlers || {})[body.exc_type];
		if (handler) handler(body);
		else window.dialogs.push(body.exc_type);
		throw body;
	},
};

class Form {
	constructor(doc) {
		this.doctype = "Batch Run";
		this.fields = [];
		this.show(doc);
		const head = document.querySelector("#head");
		head.addEventListener("click", (event) => {
			const found = event.target.closest("[data-label]");
			if (found) found.run();
		});
	}
	get events() {
		return window.handlers[this.doctype];
	}
	show(doc) {
		this.doc = doc;
		this.docname = doc.name;
		window.route = ["Form", "Batch Run", doc.name];
	}
	async open() {
		this.events.setup(this);
		this.events.onload(this);
		this.refresh();
	}
	refresh() {
		document.querySelector("#head").replaceChildren();
		this.save_disabled = false;
		this.fields = [{ df: { fieldname: "run_date", fieldtype: "Date" }, disp_status: this.is_new() ? "Write" : "Read" }];
		this.events.refresh(this);
	}
	is_new() {
		return Boolean(this.doc.__islocal);
	}
	is_dirty() {
		return Boolean(this.doc.__unsaved);
	}
	disable_save() {
		this.save_disabled = true;
	}
	set_value(field, value) {
		this.doc[field] = value;
	}
	async reload_doc() {
		window.reloads += 1;
		const { body } = await post("frappe.client.get", { doctype: this.doctype, name: this.docname });
		this.doc = body.message;
		this.refresh();
	}
	save(action, callback, button, on_error) {
		return new Promise((resolve) => {
			post("frappe.client.save", { doc: this.doc }).then(({ ok, body }) => {
				if (ok) {
					this.show(body.message);
					this.refresh();
					resolve();
				} else {
					window.dialogs.push(body.exc_type);
					if (on_error) {
						on_error();
						resolve();
					}
				}
			});
		});
	}
	set_intro(html, colour) {
		const intro = document.querySelector("#intro");
		if (!html) intro.replaceChildren();
		else intro.insertAdjacentHTML("beforeend", `<div class="${colour}">${html}</div>`);
	}
	add_custom_button(label, run, group) {
		const button = document.createElement("button");
		button.innerHTML = label;
		button.dataset.label = label;
		button.dataset.group = group || "";
		button.run = run;
		document.querySelector("#head").append(button);
		return button;
	}
	remove_custom_button(label, group) {
		for (const one of document.querySelectorAll("#head [data-label]")) {
			if (one.dataset.label === label && one.dataset.group === (group || "")) one.remove();
		}
	}
	change_custom_button_type(label, group, type) {
		for (const one of document.querySelectorAll("#head [data-label]")) {
			if (one.dataset.label === label) one.className = `btn-${type}`;
		}
	}
}

window.open_form = (doc) => {
	window.frm = new Form(doc);
	return window.frm.open();
};
window.new_form = () =>
	window.open_form({ doctype: "Batch Run", name: "new-batch-run-1", __islocal: 1, __unsaved: 1 });
window.leave = () => {
	window.route = ["List", "Batch Run"];
	window.frm.events.on_hide(window.frm);
};
window.formatted_status = (value) => status_field.formatter(value);
