"""Names of both generations: what code of 2011 and code of today looks for is there, takes their arguments, and says
what it is. What was left out stands in LEFT_OUT, with its reason.
"""

import importlib
import inspect

import pytest

# The public names of the seed's release: those of a module under its name, those of a class under the class.
OF_2011 = {
    "web": """RequestHandler Application HTTPError ErrorHandler RedirectHandler FallbackHandler StaticFileHandler
        OutputTransform GZipContentEncoding ChunkedTransferEncoding UIModule URLSpec url asynchronous removeslash
        addslash authenticated""",
    "web.RequestHandler": """SUPPORTED_METHODS initialize prepare get head post put delete options on_connection_close
        clear set_status get_status set_header get_argument get_arguments cookies get_cookie set_cookie clear_cookie
        clear_all_cookies set_secure_cookie create_signed_value get_secure_cookie redirect write render render_string
        flush finish send_error get_error_html locale get_user_locale get_browser_locale current_user get_current_user
        get_login_url get_template_path xsrf_token check_xsrf_cookie xsrf_form_html static_url async_callback
        require_setting reverse_url settings ui""",
    "web.Application": "__call__ listen add_handlers add_transform reverse_url log_request",
    "web.StaticFileHandler": "get head set_extra_headers",
    "web.OutputTransform": "transform_first_chunk transform_chunk",
    "web.UIModule": """render embedded_javascript javascript_files embedded_css css_files html_head html_body
        render_string current_user locale ui""",
    "web.URLSpec": "reverse",
    "template": "Template Loader ParseError",
    "template.Template": "generate",
    "template.Loader": "load reset resolve_path",
    "escape": """xhtml_escape xhtml_unescape json_encode json_decode squeeze url_escape url_unescape utf8 _unicode
        linkify""",
    "locale": """get set_default_locale load_translations load_gettext_translations get_supported_locales LOCALE_NAMES
        Locale CSVLocale GettextLocale""",
    "locale.Locale": "get get_closest translate format_date format_day list friendly_number",
    "options": "define parse_command_line parse_config_file print_help options enable_pretty_logging Error",
    "httpserver": "HTTPServer HTTPRequest",
    "httpserver.HTTPServer": "listen bind start stop",
    "httpserver.HTTPRequest": "supports_http_1_1 write finish full_url request_time get_ssl_certificate",
    "httputil": "HTTPHeaders",
    "httputil.HTTPHeaders": "add get_list get_all parse_line parse",
    "ioloop": "IOLoop PeriodicCallback",
    "ioloop.IOLoop": """instance initialized NONE READ WRITE ERROR add_handler update_handler remove_handler start stop
        running add_timeout remove_timeout add_callback set_blocking_signal_threshold set_blocking_log_threshold
        log_stack handle_callback_exception""",
    "ioloop.PeriodicCallback": "start stop",
    "iostream": "IOStream SSLIOStream",
    "iostream.IOStream": "connect read_until read_bytes write set_close_callback close closed reading writing",
    "httpclient": "HTTPClient AsyncHTTPClient AsyncHTTPClient2 HTTPRequest HTTPResponse HTTPError CurlError",
    "httpclient.HTTPClient": "fetch",
    "httpclient.AsyncHTTPClient": "fetch close",
    "httpclient.HTTPResponse": "rethrow",
    "auth": """OpenIdMixin OAuthMixin OAuth2Mixin TwitterMixin FriendFeedMixin GoogleMixin FacebookMixin
        FacebookGraphMixin""",
    "database": "Connection Row IntegrityError OperationalError",
    "database.Connection": "query get execute executemany iter close reconnect",
    "s3server": "start S3Application",
    "wsgi": "WSGIApplication WSGIContainer HTTPRequest",
    "wsgi.WSGIContainer": "environ",
    "websocket": "WebSocketHandler",
    "websocket.WebSocketHandler": "open on_message on_close write_message close async_callback",
    "autoreload": "start",
    "testing": "AsyncTestCase AsyncHTTPTestCase LogTrapTestCase get_unused_port main",
    "testing.AsyncTestCase": "get_new_ioloop stop wait",
    "testing.AsyncHTTPTestCase": "get_app fetch get_httpserver_options get_http_port get_url http_client",
}

# What today's code has beyond these, as far as applications use it.
OF_TODAY = {
    "web": """Finish MissingArgumentError TemplateModule stream_request_body create_signed_value decode_signed_value
        get_signature_key_version MIN_SUPPORTED_SIGNED_VALUE_VERSION MAX_SUPPORTED_SIGNED_VALUE_VERSION
        DEFAULT_SIGNED_VALUE_VERSION DEFAULT_SIGNED_VALUE_MIN_VERSION Rule PathMatches HostMatches AnyMatches Matcher
        ReverseError""",
    "web.RequestHandler": """patch path_args path_kwargs on_finish set_default_headers write_error log_exception
        get_body_argument get_body_arguments get_query_argument get_query_arguments decode_argument add_header
        clear_header set_signed_cookie get_signed_cookie get_signed_cookie_key_version get_secure_cookie_key_version
        compute_etag set_etag_header check_etag_header detach data_received render_linked_js render_embed_js
        render_linked_css render_embed_css get_template_namespace create_template_loader""",
    "web.Application": "find_handler",
    "web.HTTPError": "get_message",
    "web.StaticFileHandler": """get_absolute_path validate_absolute_path get_content get_content_version
        get_content_size get_modified_time get_content_type get_cache_time should_return_304 make_static_url
        parse_url_path get_version reset CACHE_MAX_AGE""",
    "template": "BaseLoader DictLoader filter_whitespace",
    "escape": "to_unicode native_str to_basestring recursive_unicode parse_qs_bytes",
    "locale.Locale": "pgettext",
    "options": "add_parse_callback parse_environment OptionParser",
    "options.OptionParser": "define as_dict items groups group_dict mockable add_parse_callback",
    "log": "access_log app_log gen_log LogFormatter enable_pretty_logging define_logging_options",
    "httpserver.HTTPServer": "close_all_connections add_sockets add_socket",
    "httputil": """HTTPServerRequest url_concat format_timestamp parse_cookie parse_body_arguments
        parse_multipart_form_data HTTPFile split_host_and_port qs_to_qsl encode_username_password RequestStartLine
        ResponseStartLine HTTPInputError HTTPOutputError parse_request_start_line parse_response_start_line""",
    "httputil.HTTPHeaders": "copy",
    "httputil.HTTPServerRequest": "cookies body_arguments query_arguments",
    "ioloop.IOLoop": """current run_sync call_later call_at spawn_callback add_future run_in_executor
        set_default_executor add_callback_from_signal close make_current clear_current time""",
    "ioloop.PeriodicCallback": "is_running",
    "iostream": "StreamClosedError UnsatisfiableReadError StreamBufferFullError",
    "iostream.IOStream": "read_until_regex read_until_close start_tls set_nodelay",
    "iostream.SSLIOStream": "wait_for_handshake",
    "netutil": "bind_sockets bind_unix_socket add_accept_handler is_valid_ip ssl_options_to_context ssl_wrap_socket",
    "process": "fork_processes task_id cpu_count",
    "httpclient": "HTTPClientError HTTPTimeoutError",
    "httpclient.AsyncHTTPClient": "configure",
    "websocket": "WebSocketClosedError websocket_connect WebSocketClientConnection",
    "websocket.WebSocketHandler": """on_ping on_pong ping close_code close_reason select_subprotocol
        selected_subprotocol get_compression_options check_origin set_nodelay ping_interval ping_timeout
        max_message_size""",
    "auth": "AuthError GoogleOAuth2Mixin",
    "auth.OAuthMixin": "get_auth_http_client",
    "auth.OAuth2Mixin": "oauth2_request get_auth_http_client",
    "autoreload": "watch wait add_reload_hook main",
    "testing.AsyncHTTPTestCase": "get_http_client",
    "testing": "AsyncHTTPSTestCase gen_test ExpectLog bind_unused_port get_async_test_timeout",
}

# Not here, on purpose.
LEFT_OUT = {
    "web.RequestHandler._execute": "private; wrapped in its time for what prepare() may now be async for",
    "web.RequestHandler._log": "private; Application.log_request is the hook",
    "web.Application.get_handler_delegate": "delegates: a server calls the application with a request",
    "httpserver.HTTPConnection": "the server makes its connections; nobody else has a stream for one",
    "httputil.HTTPMessageDelegate": "as get_handler_delegate; BodyReceiver takes a body while it arrives",
    "httputil.HTTPServerConnectionDelegate": "as get_handler_delegate",
    "httputil.ParseMultipartConfig": "framework.forms.MultipartLimits",
    "iostream.IOStream.read_into": "read_bytes(n) gives the bytes; to copy them is the caller's",
    "iostream.PipeIOStream": "asyncio.create_subprocess_exec reads pipes",
    "netutil.Resolver": "the loop resolves names",
    "process.Subprocess": "asyncio.create_subprocess_exec",
    "httpclient.main": "curl",
    "httpclient.HTTPStreamClosedError": "libcurl says what broke: CurlError",
    "gen": "coroutines are the language's own",
    "locks": "asyncio has them",
    "queues": "asyncio has them",
    "concurrent": "asyncio.Future",
    "stack_context": "framework.ioloop.catching; contexts follow callbacks by themselves",
    "simple_httpclient": "one client, on libcurl",
    "tcpserver": "asyncio.start_server",
    "util": "a room without a name",
}

# Arguments in their order, as calls of either generation give them; `*` begins those given by name only.
ARGUMENTS = {
    "web.Application": "handlers default_host transforms wsgi * static_path cookie_secret",
    "web.Application.listen": "self port address * xheaders ssl_options backlog reuse_port",
    "web.Application.reverse_url": "self name one two",
    "web.URLSpec": "pattern handler kwargs name",
    "web.HTTPError": "status_code log_message one two * reason",
    "web.RequestHandler.get_argument": "self name default strip",
    "web.RequestHandler.get_query_argument": "self name default strip",
    "web.RequestHandler.set_status": "self status_code reason",
    "web.RequestHandler.set_cookie": "self name value domain expires path expires_days * httponly secure max_age",
    "web.RequestHandler.clear_cookie": "self name path domain * samesite",
    "web.RequestHandler.set_secure_cookie": "self name value expires_days version * domain path",
    "web.RequestHandler.get_secure_cookie": "self name value max_age_days min_version",
    "web.RequestHandler.create_signed_value": "self name value version",
    "web.RequestHandler.redirect": "self url permanent status",
    "web.RequestHandler.render": "self template_name * title",
    "web.RequestHandler.send_error": "self status_code * exc_info reason",
    "web.RequestHandler.write_error": "self status_code * exc_info",
    "web.RequestHandler.get_error_html": "self status_code * exception",
    "web.RequestHandler.log_exception": "self typ value tb",
    "web.RequestHandler.static_url": "self path include_host * include_version",
    "web.RequestHandler.async_callback": "self callback one * two",
    "web.RequestHandler.require_setting": "self name feature",
    "web.RequestHandler.decode_argument": "self value name",
    "web.OutputTransform.transform_chunk": "self chunk finishing",
    "web.StaticFileHandler.get": "self path include_body",
    "web.StaticFileHandler.get_cache_time": "self path modified mime_type",
    "web.create_signed_value": "secret name value version clock key_version",
    "web.decode_signed_value": "secret name value max_age_days clock min_version",
    "template.Template": "template_string name loader compress_whitespace autoescape whitespace",
    "template.Loader": "root_directory * autoescape namespace whitespace",
    "template.DictLoader": "dict * autoescape",
    "template.ParseError": "message filename lineno",
    "escape.linkify": "text shorten extra_params require_protocol permitted_protocols",
    "escape.url_escape": "value plus",
    "escape.url_unescape": "value encoding plus",
    "escape.parse_qs_bytes": "qs keep_blank_values strict_parsing",
    "locale.load_translations": "directory encoding",
    "locale.load_gettext_translations": "directory domain",
    "locale.Locale.translate": "self message plural_message count",
    "locale.Locale.pgettext": "self context message plural_message count",
    "locale.Locale.format_date": "self date gmt_offset relative shorter full_format",
    "locale.Locale.format_day": "self date gmt_offset dow",
    "options.define": "name default type help metavar multiple group callback",
    "options.parse_command_line": "args final",
    "options.parse_config_file": "path final",
    "httputil.url_concat": "url args",
    "httputil.parse_body_arguments": "content_type body arguments files",
    "httputil.parse_multipart_form_data": "boundary body arguments files",
    "autoreload.start": "check_time",
    "websocket.WebSocketHandler.write_message": "self message binary",
    "websocket.WebSocketHandler.close": "self code reason",
    "log.LogFormatter": "fmt datefmt style color",
    "testing.ExpectLog": "logger regex required level",
    "testing.AsyncTestCase.wait": "self condition timeout",
    "testing.bind_unused_port": "reuse_port address",
}


def find(path):
    """What stands under a dotted name in the framework.

    Raises:
        AttributeError, ModuleNotFoundError: nothing does.
    """
    module, *rest = path.split(".")
    found = importlib.import_module(f"framework.{module}")
    for name in rest:
        found = getattr(found, name)
    return found


NAMES = [f"{owner}.{name}" for names in (OF_2011, OF_TODAY) for owner, text in names.items() for name in text.split()]


@pytest.mark.parametrize("path", NAMES)
def test_name_of_either_generation_says_what_it_is(path):
    found = find(path)
    if callable(found) or isinstance(found, property):
        assert inspect.getdoc(found), f"{path} has no docstring"


@pytest.mark.parametrize("path", LEFT_OUT)
def test_what_is_left_out_is_not_there(path):
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        find(path)


@pytest.mark.parametrize("path", ARGUMENTS)
def test_arguments_of_both_generations_are_taken(path):
    positional, _, named = ARGUMENTS[path].partition("*")
    names = positional.split()
    signature = inspect.signature(find(path))
    signature.bind(*names, **dict.fromkeys(named.split()))
    own = list(signature.parameters)
    # Each by its name as well, but for those that several of no name stand for.
    assert set(names) - {"one", "two"} <= set(own) or "args" in own, f"{path} calls its arguments {own}"
