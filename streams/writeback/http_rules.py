"""How a rule writes over HTTP: its requests, and what counts as delivered, absent, refused or queued.

An answer proves something only when it has a form that the rule declares; whatever else comes leaves the intent in
doubt. `http_answers.py` judges answers by these forms.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from streams.writeback.forms import Duration, Strict


class AnswerForm(Strict):
    """A form of answers: its status is one of `status`, and its JSON has every value of `where` (path → value, or a
    list of values). `empty`: it has no body. An HTML page has no form.
    """

    status: int | list[int] | None = None
    where: dict[str, Any] = {}
    empty: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> AnswerForm:
        if self.status is None and not self.where:
            raise ValueError("needs `status` or `where`")
        if self.empty and self.where:
            raise ValueError("an empty answer has nothing at a path: `empty` or `where`")
        return self


Forms = Annotated[list[AnswerForm], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
"""One form, or a list: any of them may fit."""


class ResultPath(Strict):
    """Where a result is in an answer. `required: false`: the answer is a proof without it, too."""

    path: str
    required: bool = True

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, content: object) -> object:
        """A text alone is a path."""
        return {"path": content} if isinstance(content, str) else content


Results = dict[str, ResultPath]
"""Dotted name → where it is in the answer."""


class Rpc(Strict):
    """A JSON-RPC call. `version`: `2.0` sends `jsonrpc`; `1.0` sends exactly method, params and id."""

    method: str
    version: Literal["1.0", "2.0"] = "2.0"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, content: object) -> object:
        """A text alone is the method."""
        return {"method": content} if isinstance(content, str) else content


class Call(Strict):
    """One HTTP request. `$name` in path, query, headers and body stands for a parameter; {"each": "lines", "do": …}
    for a list over the lines.

    The body is one of `json`, `form` (fields of a form), `multipart` (fields, or files as {file: name, content: text,
    type: …}) and `xml` (a text; values are escaped). `rpc` makes it a JSON-RPC call of that method, with `json` as its
    params. `error`: the path at which an answer says why it refuses; anything there but null, false, 0 and what is
    empty is a refusal, and people read its texts.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, Any] | None = None
    multipart: dict[str, Any] | None = None
    xml: str | None = None
    rpc: Rpc | None = None
    error: str | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Call:
        bodies = [name for name in ("form", "multipart", "xml") if getattr(self, name) is not None]
        bodies += ["json"] if self.json_body is not None or self.rpc is not None else []
        if len(bodies) > 1:
            raise ValueError(f"has {' and '.join(bodies)}: a request has one body")
        if bodies and self.method in ("GET", "DELETE"):
            raise ValueError(f"{self.method} has no body")
        return self


class ReadCall(Call):
    """A request that reads one record. `record_path`: the path to the record in the answer, or to the list that has
    it. An empty list, or null, at that path says that there is none; so does an answer of a form of `absent`.
    `next_page`: the path to the address of the next page; at most `max_pages` are read.
    """

    record_path: str | None = None
    next_page: str | None = None
    max_pages: int = Field(default=20, ge=1)
    absent: Forms = []


class LookUp(ReadCall):
    """Finds what was done for this intent. `result`: as the action's `result`, where the record has another form than
    the answer to `send`. `match`: path in the record → parameter; another record is not what was looked for, and
    proves nothing. `fuzzy`: the search may find other records, too, which are left out.

    `lag`: absence is believed only so long after the last request, since an index may come late, or a slow request be
    done late. `always`: look before the first request, too, for what people made by hand.
    """

    result: Results = {}
    match: dict[str, str] = {}
    fuzzy: bool = False
    lag: Duration = timedelta(seconds=30)
    always: bool = False


class SendCall(Call):
    """The request that writes. `done`: only these answers can be a delivery (default: 200, 201, 203, 204 and 205 that
    do not say no). `refused`: these say that nothing was done. `queued`: these (and 202) say that it will be done;
    after `queued_for` without it a person is asked. `repeatable`: to send it twice does no harm.
    """

    done: Forms = []
    refused: Forms = []
    queued: Forms = []
    queued_for: Duration = timedelta(hours=1)
    repeatable: bool = False


class HttpStep(SendCall):
    """A request that comes before `send`. What it returns (`result`) is a parameter of all requests after it.

    `find`: reads the record first; if it is there, the step is not sent, and `result` is taken from it (by the `result`
    of `find`, where it has another form). Without `find` the step must be `repeatable`: a worker may die after it.
    """

    name: str
    find: LookUp | None = None
    result: Results = {}

    @model_validator(mode="after")
    def _is_safe_to_repeat(self) -> HttpStep:
        if self.find is None and not self.repeatable:
            raise ValueError("needs `find`, which finds what it did before, or `repeatable: true`")
        if self.find is not None and not (self.find.result or self.result or self.find.match):
            raise ValueError("any answer to `find` would count as found: add `result`, or `match` in `find`")
        return self


class Batch(Strict):
    """Several intents in one request: `{each: intents, do: …}` in the `json` of `send` is a list over them.

    `items`: the path to the list in its answer, an item for each; paths of the rule's `result` lead into the item.
    `match`: path in an item → parameter that the item of an intent has; without it, the items come in the order of the
    request. `error`: the path in an item at which it says why it was refused. `most`: at most so many in a request.
    """

    items: str
    match: dict[str, str] = {}
    error: str | None = None
    most: int = Field(default=50, ge=2, le=500)


class HttpAction(Strict):
    """How an HTTP target is written, in this order.

    `now`: reads what the target has at delivery, for approvals. `look_up`: comes before a request that may have
    been done already. `read`: whether the record still is what the rule saw. `steps`: requests that come before it.
    `send`: the request. `result`: name → path in its answer, which must lead to a value. `read_back`: the record
    afterwards. `compare`: path in what was read → parameter, or field of `values`. `idempotency_header`: only for a
    target that promises to do a request with the same key once. `batch`: many intents in one `send`.
    """

    now: ReadCall | None = None
    look_up: LookUp | None = None
    read: ReadCall | None = None
    steps: list[HttpStep] = []
    send: SendCall
    result: Results = {}
    read_back: ReadCall | None = None
    compare: dict[str, str] = {}
    idempotency_header: str | None = None
    batch: Batch | None = None

    @model_validator(mode="after")
    def _batch_is_one_request(self) -> HttpAction:
        if self.batch is not None and (self.steps or self.read is not None or self.idempotency_header is not None):
            raise ValueError("`batch` sends one request for many: it has no `steps`, `read` or `idempotency_header`")
        if self.batch is not None and self.look_up is None and not self.send.repeatable:
            raise ValueError("`batch` needs `look_up`, or `repeatable: true` in `send`: an answer may be lost for all")
        return self

    @property
    def can_find_out(self) -> bool:
        """Whether a request in doubt can be looked up, or does no harm when it is sent once more."""
        return self.look_up is not None or self.idempotency_header is not None or self.send.repeatable


class OAuth2(Strict):
    """Client credentials (RFC 6749, 4.4). `client_auth`: how the client is named to the token endpoint. `more`: further
    fields of that request, such as `audience`.
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str = ""
    client_auth: Literal["basic", "body"] = "basic"
    more: dict[str, str] = {}


class Csrf(Strict):
    """What a web framework wants of a form, against requests that another page sends. `path` is a page that sets
    `cookie`; its value goes into the login's `field`, and into `header` of each request.
    """

    path: str
    cookie: str = "csrftoken"
    field: str | None = "csrfmiddlewaretoken"
    header: str = "X-CSRFToken"


class Login(Strict):
    """A call that opens a session. `token`: the path to the token in its answer, which then goes into `header` after
    `prefix`; without it the session is the cookies that the answer sets. `done`: forms of answers that open it (any
    200 to 299). `lifetime`: log in again after this time.
    """

    path: str
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, str] = {}
    token: str | None = None
    header: str = "Authorization"
    prefix: str = "Bearer "
    csrf: Csrf | None = None
    done: Forms = []
    lifetime: Duration | None = None


class HttpTarget(Strict):
    """An HTTP interface. `headers` go with every request; `basic` is a user and a password. `secrets`: name → text
    that templates may name as `$secret.<name>`; it is never printed or stored. `closed`: answers that say that the
    target takes nothing from us now (401, 407 and 429 say so anyway). `most_bytes`: a larger answer is not read.
    """

    adapter: Literal["http"]
    base_url: str
    headers: dict[str, str] = {}
    basic: tuple[str, str] | None = None
    oauth2: OAuth2 | None = None
    login: Login | None = None
    secrets: dict[str, str] = {}
    closed: Forms = []
    timeout: Duration = timedelta(seconds=10)
    most_bytes: int = Field(default=10_000_000, ge=1_000)

    @model_validator(mode="after")
    def _one_login(self) -> HttpTarget:
        if sum(way is not None for way in (self.basic, self.oauth2, self.login)) > 1:
            raise ValueError("needs only one of `basic`, `oauth2` and `login`")
        return self
