#include "service/controller_commands.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "control/controller/json_text.h"
#include "service/config.h"
#include "service/controller_import.h"
#include "service/home.h"
#include "service/http_client.h"
#include "service/store_location.h"

namespace orrery::service {
namespace {

using nlohmann::json;
using Query = std::map<std::string, std::string>;

/// The commands of one run: what they share, and the arguments that they are given.
class ControllerCommands {
 public:
  ControllerCommands(CLI::App& app, Connection& c, int& exit_code)
      : group_(*app.add_subcommand("controller", "Networks and members of this node's controller")),
        c_(c),
        exit_code_(exit_code) {
    group_.require_subcommand(1);
  }

  static void add(CLI::App& app, Connection& c, int& exit_code) {
    const auto commands = std::make_shared<ControllerCommands>(app, c, exit_code);
    commands->add_networks(commands);
    commands->add_members(commands);
    commands->add_tokens(commands);
    commands->add_webhooks(commands);
    commands->add_log(commands);
    commands->add_files(commands);
  }

 private:
  using Self = std::shared_ptr<ControllerCommands>;

  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& help,
                    std::function<void()> run) {
    CLI::App* made = parent.add_subcommand(name, help);
    made->callback(std::move(run));
    return made;
  }

  CLI::Option* network_argument(CLI::App* command) {
    return command->add_option("NETWORK", network_, "16 hexadecimal digits")
        ->required()
        ->check(validated_network);
  }

  /// An option that becomes a parameter of the query when it is given.
  void filter(CLI::App* command, const std::string& option, const std::string& parameter,
              const std::string& help) {
    command->add_option_function<std::string>(
        option, [this, parameter](const std::string& text) { query_[parameter] = text; }, help);
  }

  void yes_or_no(CLI::App* command, const std::string& option, const std::string& parameter,
                 const std::string& help) {
    command->add_option_function<bool>(
        option, [this, parameter](bool on) { query_[parameter] = on ? "true" : "false"; }, help);
  }

  /// By a path of the stock controller; prints the answer.
  void show_stock(const std::string& name, const std::string& method, const std::string& path,
                  const std::string& content = {}) {
    if (const auto answer = ask(c_, exit_code_, name, method, path, content))
      print_json(parse(*answer));
  }

  void show(const std::string& method, const std::string& path, const json& body = nullptr) {
    const auto answer = ask_v1(c_, exit_code_, method, path, query_, body);
    if (!answer) return;
    if (answer->is_null()) {
      if (c_.as_json) print_json(json{{"done", true}});
    } else {
      print_json(*answer);
    }
  }

  /// All pages of a list, as one array; no more than `most` entries, if that is not 0.
  void show_all(const std::string& path, std::size_t most = 0) {
    constexpr std::size_t kPage = 1'000;
    json all = json::array();
    query_["limit"] = std::to_string(most == 0 ? kPage : std::min(most, kPage));
    for (;;) {
      const auto page = ask_v1(c_, exit_code_, "GET", path, query_);
      if (!page) return;
      for (const json& entry : page->at("data")) all.push_back(entry);
      const json next = page->value("next", json());
      if (next.is_null() || (most != 0 && all.size() >= most)) break;
      query_["after"] = next.get<std::string>();
    }
    print_json(all);
  }

  void add_networks(const Self& self) {
    command(group_, "status", "The controller, and what this token may do",
            [self] { self->show("GET", "/status"); });

    CLI::App* networks = command(group_, "networks", "List network ids; with --long whole networks",
                                 [self] { self->list_networks(); });
    networks->add_flag("--long", long_, "whole networks");
    filter(networks, "--name", "name", "only with this part in their name (whole networks)");
    yes_or_no(networks, "--private", "private", "only private ones, or (false) public ones");

    CLI::App* network =
        command(group_, "network",
                "Show a network; with --set create or change it; with --delete remove it",
                [self] { self->one_network(); });
    network->add_option("NETWORK", network_, "16 hexadecimal digits, or \"new\" for a free one")
        ->required();
    network->add_option("--set", set_, "JSON object of fields to set")->check(validated_object);
    network->add_flag("--delete", delete_, "delete the network");

    network_argument(command(group_, "addresses", "List assigned addresses and their members",
                             [self] { self->show_all(self->of_network("/addresses")); }));
  }

  void list_networks() {
    if (long_ || !query_.empty()) return show_all("/networks");
    show_stock("networks", "GET", "/controller/network");
  }

  void one_network() {
    const std::string path = "/controller/network/" + network_;
    if (network_ == "new") {
      show_stock("network", "POST", "/controller/network", set_.empty() ? "{}" : set_);
    } else if (const std::string wrong = validated_network(network_); !wrong.empty()) {
      std::cerr << wrong << '\n';
      exit_code_ = kUsage;
    } else if (delete_) {
      show_stock("network", "DELETE", path);
    } else {
      show_stock("network", set_.empty() ? "GET" : "POST", path, set_);
    }
  }

  [[nodiscard]] std::string of_network(const std::string& rest) const {
    return "/networks/" + network_ + rest;
  }

  void add_members(const Self& self) {
    CLI::App* members =
        command(group_, "members",
                "List a network's members with their revisions; with --long whole members",
                [self] { self->list_members(); });
    network_argument(members);
    members->add_flag("--long", long_, "whole members");
    yes_or_no(members, "--authorized", "authorized", "only those, or (false) the others");
    yes_or_no(members, "--online", "online", "only who asked within two minutes, or the others");
    yes_or_no(members, "--bridge", "activeBridge", "only active bridges, or the others");
    filter(members, "--name", "name", "only with this part in their name");
    filter(members, "--ip", "ip", "only who has this address");

    const auto member_command = [&](const char* name, const char* help, std::function<void()> run) {
      CLI::App* made = command(group_, name, help, std::move(run));
      network_argument(made);
      made->add_option("MEMBER", member_, "10 hexadecimal digits")
          ->required()
          ->check(validated_address);
      return made;
    };
    CLI::App* member =
        member_command("member", "Show a member; with --set change it; with --delete forget it",
                       [self] { self->one_member(); });
    member->add_option("--set", set_, "JSON object of fields to set")->check(validated_object);
    member->add_flag("--delete", delete_, "forget the member");
    member_command("authorize", "Admit a member",
                   [self] { self->write_member("authorize", R"({"authorized":true})"); });
    member_command("deauthorize", "Cut a member off",
                   [self] { self->write_member("deauthorize", R"({"authorized":false})"); });

    CLI::App* bulk = command(
        group_, "bulk",
        "Change many members: a JSON array of {\"member\": ADDRESS, \"set\": {...}} or "
        "{\"member\": ADDRESS, \"delete\": true}, a thousand at a time; exit code 1 if one failed",
        [self] { self->bulk(); });
    network_argument(bulk);
    bulk->add_option("FILE", file_, "\"-\": standard input")->required();
  }

  void list_members() {
    if (long_ || !query_.empty()) return show_all(of_network("/members"));
    show_stock("members", "GET", "/controller/network/" + network_ + "/member");
  }

  void one_member() {
    const std::string path = "/controller/network/" + network_ + "/member/" + member_;
    if (delete_) return show_stock("member", "DELETE", path);
    show_stock("member", set_.empty() ? "GET" : "POST", path, set_);
  }

  void write_member(const std::string& name, const std::string& body) {
    show_stock(name, "POST", "/controller/network/" + network_ + "/member/" + member_, body);
  }

  void bulk() {
    std::ifstream in(file_, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file_ == "-" ? std::cin : in), {});
    const auto operations = control::parse_json(text);
    if (!operations || !operations->is_array()) {
      std::cerr << "orrery: " << file_ << ": expected a JSON array of operations\n";
      exit_code_ = kFailed;
      return;
    }
    constexpr std::size_t kAtOnce = 1'000;
    json results = json::array();
    bool failed = false;
    for (std::size_t i = 0; i < operations->size(); i += kAtOnce) {
      const json part(operations->begin() + static_cast<std::ptrdiff_t>(i),
                      operations->begin() +
                          static_cast<std::ptrdiff_t>(std::min(i + kAtOnce, operations->size())));
      const auto answer =
          ask_v1(c_, exit_code_, "POST", of_network("/members/bulk"), {}, {{"operations", part}});
      if (!answer) return;
      for (const json& result : answer->at("results")) results.push_back(result);
      failed = failed || answer->at("failed") != 0;
    }
    print_json(results);
    exit_code_ = failed ? kFailed : kDone;
  }

  void add_tokens(const Self& self) {
    command(group_, "tokens", "List the API's scoped tokens",
            [self] { self->show("GET", "/tokens"); });
    CLI::App* token =
        group_.add_subcommand("token", "Make a scoped token of the API, or take it back");
    token->require_subcommand(1);
    CLI::App* create =
        command(*token, "create", "Make a token; it is printed once and kept nowhere",
                [self] { self->create_token(); });
    create->add_option("NAME", name_, "stands in the audit log")->required();
    create->add_option("--role", role_, "read, write, or admin (tokens and webhooks, too)")
        ->check(CLI::IsMember({"read", "write", "admin"}))
        ->capture_default_str();
    create->add_option("--network", networks_, "only this network; may be given several times")
        ->check(validated_network)
        ->take_all();
    create->add_option("--seconds", seconds_, "end after so long (default: never)")
        ->check(CLI::Range(1U, 0xffff'ffffU));
    command(*token, "delete", "Take a token back",
            [self] { self->show("DELETE", "/tokens/" + url_encoded(self->id_)); })
        ->add_option("ID", id_, "as the list shows it")
        ->required();
  }

  void create_token() {
    json fields = {{"name", name_}, {"role", role_}};
    if (!networks_.empty()) fields["networks"] = networks_;
    if (seconds_ != 0) {
      const auto end = std::chrono::system_clock::now() + std::chrono::seconds(seconds_);
      fields["expires"] =
          std::chrono::duration_cast<std::chrono::milliseconds>(end.time_since_epoch()).count();
    }
    show("POST", "/tokens", fields);
  }

  void add_webhooks(const Self& self) {
    command(group_, "webhooks", "List webhooks and their deliveries",
            [self] { self->show("GET", "/webhooks"); });
    CLI::App* webhook = group_.add_subcommand("webhook", "Make, change or delete a webhook");
    webhook->require_subcommand(1);
    CLI::App* create = command(*webhook, "create",
                               "Post events to a URL; the secret that signs them is printed once",
                               [self] { self->create_webhook(); });
    create->add_option("NAME", name_)->required();
    create->add_option("URL", url_, "http:// or https://")->required();
    add_event_options(create);
    CLI::App* change = command(*webhook, "change", "Change a webhook", [self] {
      self->show("PATCH", "/webhooks/" + url_encoded(self->id_), parse(self->set_));
    });
    change->add_option("ID", id_, "as the list shows it")->required();
    change->add_option("--set", set_, "JSON object: name, url, types, networks, enabled")
        ->required()
        ->check(validated_object);
    command(*webhook, "delete", "Delete a webhook",
            [self] { self->show("DELETE", "/webhooks/" + url_encoded(self->id_)); })
        ->add_option("ID", id_, "as the list shows it")
        ->required();
  }

  void add_event_options(CLI::App* command) {
    command->add_option("--type", types_, "only events of this type; may be given several times")
        ->take_all();
    command->add_option("--network", networks_, "only of this network")
        ->check(validated_network)
        ->take_all();
  }

  void create_webhook() {
    json fields = {{"name", name_}, {"url", url_}, {"types", types_}};
    if (!networks_.empty()) fields["networks"] = networks_;
    show("POST", "/webhooks", fields);
  }

  void add_log(const Self& self) {
    CLI::App* audit = command(group_, "audit", "What was changed over the API, newest first",
                              [self] { self->show_all("/audit", self->count_); });
    audit->add_option("--count", count_, "so many entries")->capture_default_str();
    filter(audit, "--network", "network", "only of this network");
    CLI::App* events = command(
        group_, "events",
        "Print events as they happen, one line each, until a signal ends it; with -j as JSON",
        [self] { self->listen(); });
    add_event_options(events);
  }

  void listen() {
    if (networks_.size() > 1) {
      std::cerr << "orrery: expected one --network at most\n";
      exit_code_ = kUsage;
      return;
    }
    if (!c_.complete()) {
      exit_code_ = kNoDaemon;
      return;
    }
    std::string path = "/api/v1/events";
    char separator = '?';
    const auto add_parameter = [&](const std::string& name, const std::string& value) {
      path += separator + name + "=" + url_encoded(value);
      separator = '&';
    };
    if (!networks_.empty()) add_parameter("network", networks_.front());
    std::string types;
    for (const std::string& type : types_) types += (types.empty() ? "" : ",") + type;
    if (!types.empty()) add_parameter("types", types);
    std::string text;
    const auto answer =
        http_stream({c_.host, c_.port, c_.token, "GET", path, ""}, [&](std::string_view part) {
          text += part;
          for (std::size_t end = text.find("\n\n"); end != std::string::npos;
               end = text.find("\n\n")) {
            print_event(text.substr(0, end));
            text.erase(0, end + 2);
          }
          return true;
        });
    if (!answer) {
      exit_code_ = report(answer.error());
    } else if (answer->status != 200) {
      std::cerr << "orrery: the daemon answers " << answer->status << ": " << answer->body << '\n';
      exit_code_ = kFailed;
    } else {
      exit_code_ = kDone;
    }
  }

  /// The lines of one event as the stream has them.
  void print_event(const std::string& lines) const {
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) {
      if (line == "event: gap") std::cerr << "orrery: some events were missed\n";
      if (!line.starts_with("data: {\"")) continue;
      const json event = parse(line.substr(6));
      if (c_.as_json) {
        std::cout << control::json_text(event) << std::endl;
        continue;
      }
      const auto text = [&](const char* key) {
        const json value = event.value(key, json());
        return value.is_string() ? value.get<std::string>() : std::string("-");
      };
      std::cout << event.value("time", 0LL) << ' ' << text("type") << ' ' << text("network") << ' '
                << text("member") << " by " << text("actor") << std::endl;
    }
  }

  void add_files(const Self& self) {
    CLI::App* out = command(group_, "export",
                            "Write all networks and members as the files of a zerotier-one "
                            "controller (controller.d)",
                            [self] { self->export_records(); });
    out->add_option("DIRECTORY", file_, "must not exist, or be empty")->required();
    CLI::App* in =
        command(group_, "import",
                "Read the files of a zerotier-one controller (controller.d) into the store "
                "of this home; the daemon must not run",
                [self] { self->import_records(); });
    in->add_option("DIRECTORY", file_)->required();
    in->add_flag("--replace", replace_, "also when the store has networks: those of the files win");
  }

  void export_records() {
    std::vector<control::StoreWrite> records;
    const auto body = ask(c_, exit_code_, "export", "GET", "/controller/network");
    if (!body) return;
    for (const json& id : parse(*body)) {
      const std::string path = "/controller/network/" + id.get<std::string>();
      const auto network = ask(c_, exit_code_, "export", "GET", path);
      if (!network) return;
      const wire::NetworkId number = *wire::parse_network_id(id.get<std::string>());
      records.push_back({number, {}, *network});
      const auto members = ask(c_, exit_code_, "export", "GET", "/unstable" + path + "/member");
      if (!members) return;
      const json all = parse(*members);
      for (const json& member : all.at("data")) {
        const auto address = wire::parse_address(member.at("id").get<std::string>());
        if (address) records.push_back({number, *address, control::json_text(member)});
      }
    }
    finish(export_controller_records(file_, records), "written", records.size());
  }

  void import_records() {
    CommandLine line;
    line.home = c_.home;
    auto config = load_config(line);
    if (!config) return finish(std::unexpected(config.error()), "", 0);
    const ImportedRecords imported = import_controller_records(file_);
    for (const std::string& file : imported.skipped)
      std::cerr << "orrery: " << file << " holds no JSON object and is left out\n";
    if (imported.records.empty())
      return finish(failure(Errc::kNotFound, "there are no networks in " + file_), "", 0);
    const auto identity = Home::peek(config->home).identity();
    if (!identity) return finish(std::unexpected(identity.error()), "", 0);
    auto store = open_for_import(*config, identity->address());
    if (!store) return finish(std::unexpected(store.error()), "", 0);
    const auto present = (*store)->load();
    if (!present) return finish(std::unexpected(present.error()), "", 0);
    if (!present->empty() && !replace_) {
      return finish(failure(Errc::kInvalid, "the store " + config->store +
                                                " is not empty; --replace overwrites what the "
                                                "files have, too"),
                    "", 0);
    }
    finish((*store)->commit(imported.records), "imported", imported.records.size());
  }

  void finish(const Result<void>& done, const std::string& what, std::size_t count) {
    if (!done) {
      std::cerr << "orrery: " << done.error().text << '\n';
      exit_code_ = kFailed;
      return;
    }
    exit_code_ = kDone;
    if (c_.as_json) {
      print_json(json{{"records", count}});
    } else {
      std::cout << count << " records " << what << '\n';
    }
  }

  CLI::App& group_;
  Connection& c_;
  int& exit_code_;
  std::string network_, member_, set_, file_, id_, name_, url_, role_ = "read";
  std::vector<std::string> networks_, types_;
  bool long_ = false, delete_ = false, replace_ = false;
  std::uint32_t seconds_ = 0;
  std::size_t count_ = 100;
  Query query_;
};

}  // namespace

void add_controller_commands(CLI::App& app, Connection& c, int& exit_code) {
  ControllerCommands::add(app, c, exit_code);
}

}  // namespace orrery::service
