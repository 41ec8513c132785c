#include "page.h"
#include "serve_page.h"

const void *page_html(size_t *n)
{
    *n = sizeof page_head;
    return page_head;
}

const char *page_policy(void)
{
    return "default-src 'none'; connect-src 'self'; style-src '" page_css_hash
           "'; script-src '" page_js_hash
           "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}
