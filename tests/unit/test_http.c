/* SPDX-License-Identifier: MIT */
#include "http_util.h"

TEST_HTTP(a_get_brings_status_headers_and_body)
{
    struct hob_http_response res;
    char url[512];

    get_is(w, "/some/path?q=1#part", 0, &res);
    CHECK_INT(res.status, 200);
    CHECK_INT(res.body_n, 6);
    CHECK_STR(res.body, "hello\n");
    CHECK_STR(res.content_type, "text/plain; charset=utf-8");
    CHECK_STR(hob_http_response_header(&res, "x-TWO"), "1");
    CHECK_INT(res.n_headers, 4);
    CHECK_STR(res.headers[3].name, "X-two");
    CHECK_STR(res.headers[3].value, "2");
    CHECK(!hob_http_response_header(&res, "x-three"));
    CHECK_STR(res.final_url, url_of(&w->httpd, "/some/path?q=1#part", url));
    CHECK_INT(res.n_redirects, 0);
    CHECK_INT(res.http_version, 11);
    CHECK(!res.reused && res.total > 0 && res.first_byte > 0 && res.connecting > 0);
    snprintf(url, sizeof url, "127.0.0.1:%u", w->httpd.port);
    CHECK_STR(res.remote, url);
    hob_http_response_free(&res);
    CHECK(!res.body);
    hob_http_response_free(&res);
}
