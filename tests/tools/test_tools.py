#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_tools.py - each check finds a planted violation, and nothing in a good tree"""
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = '/* SPDX-License-Identifier: MIT */\n'


def essay(name):
    return '/* SPDX-License-Identifier: MIT\n *\n * %s - a thing\n */\n' % name


GOOD = {
    'include/hob/base.h': SPDX + textwrap.dedent('''\
        #ifndef HOB_BASE_H
        #define HOB_BASE_H
        #ifdef __cplusplus
        extern "C" {
        #endif
        #define HOB_API __attribute__((visibility("default")))
        #define HOB_PRINTF(f, a) __attribute__((format(printf, f, a)))
        #define HOB_SEC 1000
        /* HOB_API int hob_in_a_comment(void); */
        HOB_API const char *hob_version(void);
        HOB_API int hob_print(
            const char *format, ...) HOB_PRINTF(1, 2);
        #ifdef __cplusplus
        }
        #endif
        #endif
        '''),
    'src/hob.map': 'HOB_0.1 {\n    global:\n        hob_print;\n        hob_version;\n    local:\n        *;\n};\n',
    'src/base/list.h': SPDX + '#include <stddef.h>\n',
    'src/base/err.c': essay('err.c') + textwrap.dedent('''\
        #include <hob/base.h>

        #include "base/list.h"

        const char *hob_version(void)
        {
            return "time() and rand() in a string";
        }

        int hob_print(const char *format, ...)
        {
            return format[0];
        }
        '''),
    'src/plat/env.c': essay('env.c') + textwrap.dedent('''\
        #include "base/list.h"
        int hob__now(void);
        int hob__now(void)
        {
            clock_nanosleep(0, 0, 0, 0); /* sleep: text of a planted file */
            return clock_gettime(0, 0) + (int)getrandom(0, 0, 0);
        }
        '''),
    'cmd/main.c': essay('main.c') + '#include <hob/base.h>\n#include "cmd.h"\n',
    'cmd/cmd.h': SPDX,
    'man/hob.1': '.TH HOB 1\n.SH COMMANDS\n.TP\n.BR hob\\-crawl (1)\nCrawls.\n',
    'man/hob-crawl.1': textwrap.dedent('''\
        .TH HOB-CRAWL 1
        .SH SYNOPSIS
        .B hob crawl
        .RI [ OPTIONS ]
        .IR URL ...
        .br
        .B hob crawl \\-\\-status
        .I FILE
        .SH OPTIONS
        .TP
        .BR \\-j ", " \\-\\-concurrency " " \\fIN\\fR
        At most N at once; see \\-\\-nothing.
        .TP
        .B \\-\\-status
        Show.
        '''),
    'man/hob_version.3': textwrap.dedent('''\
        .TH HOB_VERSION 3
        .SH NAME
        hob_version, hob_print, HOB_API, HOB_PRINTF, HOB_SEC \\- say things
        .SH SYNOPSIS
        .nf
        .B #include <hob/base.h>
        .PP
        .B const char *hob_version(void);
        .BI "int hob_print(const char *" format ", ...);"
        .B HOB_API
        .BI HOB_PRINTF( f ", " a )
        .B HOB_SEC
        .fi
        .SH DESCRIPTION
        As
        .BR hob_print (3)
        and hob.1 do.
        .SH EXAMPLES
        .EX
        .\\"C static int twice(const char *words)
        .\\"C {
        int n = hob_print("%s\\en", words);
        .\\"C     return n;
        .\\"C }
        .EE
        '''),
    'hob': textwrap.dedent('''\
        #!/bin/sh
        if [ "$1" = -h ]; then
            echo "usage: hob COMMAND"
            echo
            echo "  crawl    fetch, parse and store"
            exit 0
        fi
        echo "usage: hob crawl [OPTIONS]"
        echo "                 URL..."
        echo "   or: hob crawl --status FILE"
        echo
        echo "  -j, --concurrency N   at once, unlike --this"
        echo "      --status          show"
        '''),
    'tests/unit/test_err.c': SPDX + '#include "base/list.h"\n',
    'tests/header_macros.c': essay('header_macros.c') + textwrap.dedent('''\
        #include <hob/base.h>
        HOB_PRINTF(1, 2) int other(const char *format, ...);
        int main(void)
        {
            return 0;
        }
        '''),
}


class Planted(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for path, text in GOOD.items():
            self.write(path, text)

    def path(self, path):
        return os.path.join(self.folder.name, path)

    def write(self, path, text, mode='w'):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), mode, encoding='utf-8') as f:
            f.write(text)

    def change(self, path, old, new):
        self.assertIn(old, GOOD[path])
        self.write(path, GOOD[path].replace(old, new))

    def run_check(self, name, *args):
        command = [sys.executable, os.path.join(ROOT, 'tools', name + '.py'),
                   '--root', self.folder.name, *args]
        r = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(r.stderr, '')
        return r.returncode, r.stdout

    def good(self, name, *args):
        self.assertEqual(self.run_check(name, *args), (0, ''))

    def bad(self, name, *words, args=()):
        code, out = self.run_check(name, *args)
        self.assertEqual(code, 1, out)
        for word in words:
            self.assertIn(word, out)

    def library(self):
        """The small tree's libraries, as --shared and --static."""
        so, obj, archive = self.path('libhob.so'), self.path('err.o'), self.path('libhob.a')
        flags = ['-fPIC', '-fvisibility=hidden', '-I', self.path('include'), '-I', self.path('src')]
        source = self.path('src/base/err.c')
        subprocess.run(['cc', *flags, '-c', source, '-o', obj], check=True)
        subprocess.run(['cc', '-shared', obj, '-o', so,
                        '-Wl,--version-script=' + self.path('src/hob.map')], check=True)
        subprocess.run(['ar', 'rcs', archive, obj], check=True)
        return ['--shared', so, '--static', archive]


class Layers(Planted):
    def test_good(self):
        self.good('check_layers')

    def test_a_folder_of_the_same_rank(self):
        self.write('src/pool/job.h', SPDX)
        self.write('src/sched/loop.c', essay('loop.c') + '#include "pool/job.h"\n')
        self.bad('check_layers', 'src/sched/loop.c:5:', 'pool/job.h')

    def test_a_higher_rank(self):
        self.write('src/base/err.c', '#include "plat/env.h"\n', 'a')
        self.bad('check_layers', 'plat/env.h')

    def test_an_include_in_a_comment_is_none(self):
        self.write('src/base/err.c', '/*\n#include "plat/env.h"\n*/\n', 'a')
        self.good('check_layers')

    def test_the_tool_includes_the_inside(self):
        self.write('cmd/main.c', '#include "base/list.h"\n', 'a')
        self.bad('check_layers', 'cmd/main.c:')

    def test_the_tool_climbs_out(self):
        self.write('cmd/main.c', '#include "../src/base/list.h"\n', 'a')
        self.bad('check_layers', 'cmd/main.c:')

    def test_the_demo_uses_the_tool_and_not_the_inside(self):
        self.write('demo/site.c', essay('site.c') + '#include <hob/base.h>\n#include "cmd.h"\n'
                   '#include "demo/site.h"\n')
        self.good('check_layers')
        self.write('demo/site.c', '#include "base/list.h"\n', 'a')
        self.bad('check_layers', 'demo/site.c:8:', 'demo/ is built on')

    def test_an_example_uses_the_public_headers_only(self):
        self.write('examples/claims/a.c', essay('a.c') + '#include <hob/base.h>\n'
                   '#include "claim.h"\n')
        self.good('check_layers')
        self.write('examples/claims/a.c', '#include "lib/buf.h"\n', 'a')
        self.bad('check_layers', 'examples/claims/a.c:7:')

    def test_an_example_of_another_library(self):
        self.write('examples/a.c', essay('a.c') + '#include <curl/curl.h>\n')
        self.bad('check_layers', '<curl/curl.h>')

    def test_a_public_header_includes_the_inside(self):
        self.write('include/hob/base.h', '#include "base/list.h"\n', 'a')
        self.bad('check_layers', 'include/hob/base.h:')

    def test_another_library_in_the_wrong_folder(self):
        self.write('src/base/err.c', '#include <curl/curl.h>\n', 'a')
        self.bad('check_layers', '<curl/curl.h>')

    def test_an_unknown_layer(self):
        self.write('src/misc/x.c', essay('x.c') + '#include "base/list.h"\n')
        self.bad('check_layers', 'src/misc is no layer')


class Env(Planted):
    def test_good(self):
        self.good('check_env')

    def test_a_clock(self):
        self.write('src/base/err.c', 'long t(void)\n{\n    return time(0);\n}\n', 'a')
        self.bad('check_env', 'src/base/err.c:', 'time()')

    def test_the_tool_asks_hob_too(self):
        self.write('cmd/main.c', 'unsigned r(void)\n{\n    return arc4random();\n}\n', 'a')
        self.bad('check_env', 'cmd/main.c:', 'arc4random()')

    def test_random_bytes_from_a_file(self):
        self.write('src/base/err.c', 'int r(void)\n{\n    return open("/dev/urandom", 0);\n}\n', 'a')
        self.bad('check_env', '/dev/urandom')

    def test_a_field_of_the_table_is_no_call(self):
        self.write('src/base/err.c', 'long t(struct e *e)\n{\n    return e->random();\n}\n', 'a')
        self.good('check_env')

    def test_an_allowance_nobody_uses(self):
        self.write('src/plat/env.c', essay('env.c'))
        self.bad('check_env', 'drop the line')


class Style(Planted):
    def test_good(self):
        self.good('check_style')

    def test_a_long_file(self):
        self.write('src/base/err.c', '/* line */\n' * 600, 'a')
        self.bad('check_style', 'src/base/err.c:', 'Length:')

    def test_a_long_file_that_says_why(self):
        self.write('src/base/err.c', essay('err.c').replace(' */', ' * Length: a table\n */')
                   + '/* line */\n' * 600)
        self.good('check_style')

    def test_a_long_function(self):
        self.write('src/base/err.c', 'void f(void)\n{\n' + '    f();\n' * 69 + '}\n', 'a')
        self.bad('check_style', 'function of 71 lines')

    def test_no_licence(self):
        self.write('src/base/list.h', '#include <stddef.h>\n')
        self.bad('check_style', 'src/base/list.h:1:')

    def test_no_essay(self):
        self.write('src/base/err.c', SPDX)
        self.bad('check_style', 'src/base/err.c:3:')

    def test_a_sleep(self):
        self.write('tests/unit/test_err.c', 'void f(void)\n{\n    usl' 'eep(1);\n}\n', 'a')
        self.bad('check_style', 'tests/unit/test_err.c:')

    def test_a_sleep_with_a_reason(self):
        self.write('tests/unit/test_err.c',
                   'void f(void)\n{\n    usl' 'eep(1); /* sleep: the point */\n}\n', 'a')
        self.good('check_style')

    def test_a_path_of_one_machine(self):
        self.write('README.md', 'see /ho' 'me/me/notes\n')
        self.bad('check_style', 'README.md:1:')


@unittest.skipUnless(shutil.which('clang-format-14'), 'there is no clang-format-14')
class Format(Planted):
    def setUp(self):
        super().setUp()
        with open(os.path.join(ROOT, '.clang-format'), encoding='utf-8') as f:
            self.write('.clang-format', f.read())
        subprocess.run(['clang-format-14', '-i', *(self.path(f) for f in GOOD if f.endswith(('.c', '.h')))],
                       check=True)

    def test_good(self):
        self.good('check_format')

    def test_a_badly_formatted_file(self):
        self.write('src/base/err.c', 'int  f( void ){ return 1; }\n', 'a')
        self.bad('check_format', 'src/base/err.c:', './run fmt')


class Docs(Planted):
    def setUp(self):
        super().setUp()
        os.chmod(self.path('hob'), 0o755)

    def bad_docs(self, *words):
        self.bad('check_docs', *words, args=[self.path('hob')])

    def test_good(self):
        self.good('check_docs', self.path('hob'))

    def test_no_tool_and_no_pages(self):
        os.remove(self.path('man/hob-crawl.1'))
        self.good('check_docs', self.path('absent'))

    def test_another_synopsis(self):
        self.change('man/hob-crawl.1', '.IR URL ...', '.IR FILE ...')
        self.bad_docs('SYNOPSIS differs')

    def test_an_option_without_a_paragraph(self):
        self.change('hob', 'echo "      --status', 'echo "      --depth N   deep"\necho "      --status')
        self.bad_docs('man/hob-crawl.1: --depth is in -h')

    def test_a_paragraph_without_an_option(self):
        self.change('hob', 'echo "  -j, --concurrency N', 'echo "  -k, --concurrency N')
        self.bad_docs('-j is not in hob crawl -h', '-k is in -h')

    def test_a_command_without_a_page(self):
        os.remove(self.path('man/hob-crawl.1'))
        self.bad_docs('has no manual page')

    def test_a_page_without_a_command(self):
        self.write('man/hob-fetch.1', GOOD['man/hob-crawl.1'])
        self.bad_docs('man/hob-fetch.1: hob -h does not list')

    def test_a_variable_the_overview_forgets(self):
        self.write('src/plat/env.c', 'char *f(void)\n{\n    return getenv("HOB_FAST");\n}\n', 'a')
        self.bad_docs('does not name HOB_FAST, which src/plat/env.c reads')
        self.write('man/hob.1', '.SH ENVIRONMENT\n.TP\n.B HOB_FAST\nfaster.\n', 'a')
        self.good('check_docs', self.path('hob'))

    def test_a_variable_that_is_read_through_a_function(self):
        self.write('cmd/main.c', 'char *f(char *n)\n{\n    return getenv(n);\n}\n'
                   'char *g(void)\n{\n    return f("HOB_SLOW"); /* not "HOB_NOTE" */\n}\n', 'a')
        self.bad_docs('does not name HOB_SLOW')
        self.write('man/hob.1', '.SH ENVIRONMENT\n.B HOB_SLOW\nslower.\n', 'a')
        self.good('check_docs', self.path('hob'))

    def test_a_command_the_overview_forgets(self):
        self.write('man/hob.1', '.TH HOB 1\n')
        self.bad_docs('does not name hob-crawl(1)')

    def test_a_design_page_the_list_forgets(self):
        self.write('docs/design/README.md', '| [0001](0001-stacks.md) | stacks |\n')
        self.write('docs/design/0001-stacks.md', '# 0001: stacks\n')
        self.good('check_docs', self.path('hob'))
        self.write('docs/design/0002-pollers.md', '# 0002: pollers\n')
        self.bad_docs('does not list 0002-pollers.md')
        os.remove(self.path('docs/design/0001-stacks.md'))
        self.bad_docs('lists 0001-stacks.md, which is not there')

    def test_a_fuzz_target_the_table_forgets(self):
        self.write('docs/parsers.md', '| `src/plat/env.c` | `fuzz_env` |\n')
        self.write('tests/fuzz/fuzz_env.c', 'int x;\n')
        self.good('check_docs', self.path('hob'))
        self.write('tests/fuzz/fuzz_url.c', 'int x;\n')
        self.bad_docs('does not name fuzz_url')
        os.remove(self.path('tests/fuzz/fuzz_env.c'))
        self.bad_docs('names fuzz_env, which is not there')
        self.write('docs/parsers.md', '`src/plat/gone.c`\n', 'a')
        self.bad_docs('names src/plat/gone.c, which is not there')

    def test_a_function_without_a_page(self):
        self.write('include/hob/more.h', '#include <hob/base.h>\nHOB_API int hob_more(void);\n')
        self.bad_docs('include/hob/more.h: hob_more is in NAME of no page in man/')

    def test_a_macro_without_a_page(self):
        self.write('include/hob/more.h', '#define HOB_MORE(x) ((x) + 1)\n')
        self.bad_docs('include/hob/more.h: HOB_MORE is in NAME of no page in man/')

    def test_a_function_on_two_pages(self):
        self.write('man/hob_print.3', GOOD['man/hob_version.3'].replace('hob_version, ', '', 1))
        self.bad_docs('hob_print is in NAME of hob_print.3 and hob_version.3 in man/')

    def test_another_prototype(self):
        self.change('man/hob_version.3', '(const char *" format', '(char *" format')
        self.bad_docs('SYNOPSIS does not have "int hob_print(const char *format, ...);"')

    def test_a_macro_that_the_synopsis_lacks(self):
        self.change('man/hob_version.3', '.B HOB_SEC\n', '')
        self.bad_docs('man/hob_version.3: SYNOPSIS does not have HOB_SEC')
        self.change('man/hob_version.3', '.BI HOB_PRINTF( f ", " a )', '.B HOB_PRINTF')
        self.bad_docs('man/hob_version.3: SYNOPSIS does not have HOB_PRINTF with (f, a)')

    def test_a_name_that_is_not_there(self):
        self.change('man/hob_version.3', 'hob_version, ', 'hob_version, hob_old, ')
        self.bad_docs('NAME has hob_old, which no header declares')

    def test_a_code_that_the_page_lacks(self):
        self.change('include/hob/base.h', 'HOB_API int hob_print',
                    '/** hob_print - print\n *\n * Return: 0, -EIO. */\nHOB_API int hob_print')
        self.bad_docs('man/hob_version.3: does not have -EIO of hob_print')
        self.write('man/hob_version.3', '.SH RETURN VALUE\n.B \\-EIO\n', 'a')
        self.good('check_docs', self.path('hob'))

    def test_a_field_that_no_page_has(self):
        self.change('include/hob/base.h', '/* HOB_API int', 'struct hob_opts {\n    size_t size;\n'
                    '    int colour, (*paint)(int how);\n};\n/* HOB_API int')
        self.bad_docs('no page in man/ has a field of struct hob_opts')
        self.write('man/hob_version.3', '.B struct hob_opts\nhas a\n.I colour\n', 'a')
        self.bad_docs('no page in man/ has paint of struct hob_opts')
        self.write('man/hob_version.3', '.I paint\n', 'a')
        self.good('check_docs', self.path('hob'))

    def test_a_page_speaks_of_what_is_not_there(self):
        self.change('man/hob_version.3', '.BR hob_print (3)', '.BR hob_write (3)\nor hob_say')
        self.bad_docs('there is no page hob_write(3)', 'speaks of hob_say, which no header has')

    def test_a_page_without_its_header(self):
        self.change('man/hob_version.3', '.B #include <hob/base.h>\n', '')
        self.bad_docs('SYNOPSIS does not include <hob/base.h>, where hob_print is')

    def test_another_name_of_a_page(self):
        self.write('man/hob_print.3', '.so man3/hob_version.3\n')
        self.good('check_docs', self.path('hob'))
        self.write('man/hob_gone.3', '.so man3/hob_version.3\n')
        self.bad_docs('man/hob_gone.3: NAME of man/hob_version.3 does not have it')

    def test_an_example_that_is_none(self):
        self.write('man/hob_version.3', GOOD['man/hob_version.3'].split('.EX')[0])
        self.bad_docs('there is no code in EXAMPLES')


class Examples(Planted):
    def bad_example(self, *words):
        self.bad('check_examples', *words, args=['--', 'cc'])

    def setUp(self):
        super().setUp()
        self.write('include/hob/hob.h', '#include <hob/base.h>\n')

    def test_good(self):
        self.good('check_examples', '--', 'cc')

    def test_a_call_that_is_wrong(self):
        self.change('man/hob_version.3', 'hob_print("%s', 'hob_print(1, "%s')
        self.bad_example('man/hob_version.3:22')

    def test_what_is_hidden_is_compiled(self):
        self.change('man/hob_version.3', '.\\"C     return n;\n', '')
        self.bad_example('man/hob_version.3:')


class Symbols(Planted):
    def test_good(self):
        self.good('check_symbols', *self.library())

    def test_not_in_the_map_and_update(self):
        self.write('include/hob/base.h', 'HOB_API int hob_new_thing(void);\n', 'a')
        self.bad('check_symbols', 'hob_new_thing is declared', '--update')
        self.good('check_symbols', '--update')

    def test_in_the_map_only(self):
        self.write('src/hob.map', GOOD['src/hob.map'].replace('hob_print', 'hob_print; hob_gone'))
        self.bad('check_symbols', 'hob_gone is listed')

    def test_declared_but_not_defined(self):
        self.write('include/hob/base.h', 'HOB_API int hob_new_thing(void);\n', 'a')
        self.good('check_symbols', '--update')
        self.bad('check_symbols', 'does not export hob_new_thing', args=self.library())

    def test_exported_but_not_declared(self):
        self.write('src/hob.map', 'HOB_0.1 {\n    global:\n        hob_*;\n    local:\n        *;\n};\n')
        self.write('src/base/err.c',
                   '__attribute__((visibility("default"))) int hob_loose(void)\n{\n    return 1;\n}\n', 'a')
        self.bad('check_symbols', 'exports hob_loose', args=self.library())

    def test_a_global_without_the_prefix(self):
        self.write('src/base/err.c', 'int helper(void)\n{\n    return 1;\n}\n', 'a')
        self.bad('check_symbols', 'helper is global', args=self.library())


class Headers(Planted):
    def test_good(self):
        self.good('check_headers', '--', 'gcc')

    def test_a_header_that_needs_another(self):
        self.write('include/hob/two.h', SPDX + 'size_t hob_two(void);\n')
        self.bad('check_headers', '<hob/two.h> alone', args=['--', 'gcc'])

    def test_a_header_that_is_not_cplusplus(self):
        self.write('include/hob/two.h', SPDX + '#ifndef T\n#define T\nint f(int class);\n#endif\n')
        self.bad('check_headers', 'as c++17', args=['--', 'gcc'])

    def test_a_macro_without_a_use(self):
        self.write('include/hob/base.h', '#define HOB_TWICE(x) ((x) + (x))\n', 'a')
        self.bad('check_headers', 'HOB_TWICE', args=['--', 'gcc'])

    def test_a_constant_that_does_not_compile(self):
        self.write('include/hob/base.h', '#define HOB_BROKEN (1 + hob_nothing)\n', 'a')
        self.bad('check_headers', 'every constant', args=['--', 'gcc'])

    def test_a_struct_that_cannot_grow(self):
        grown = SPDX + '#ifndef T\n#define T\n/** %s. */\nstruct hob_x {\n    int a;\n};\n#endif\n'
        self.write('include/hob/two.h', grown % 'Never grows')
        self.good('check_headers', '--', 'gcc')
        self.write('include/hob/two.h', grown % 'An x')
        self.bad('check_headers', 'struct hob_x begins', args=['--', 'gcc'])

    def test_a_function_without_c_linkage(self):
        self.write('include/hob/base.h', GOOD['include/hob/base.h'].replace('extern "C" {', '')
                   .replace('#ifdef __cplusplus\n}\n#endif\n', ''))
        lib = self.library()[1]
        self.bad('check_headers', 'as c++17', args=['--lib', lib, '--', 'gcc'])


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    unittest.main()
