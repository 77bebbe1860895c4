#include "cli/provider_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/service_output.h"
#include "cli/service_request.h"
#include "core/error.h"

namespace backstay::cli {
namespace {

using core::json::value;

constexpr const char* kProviders = "/api/managed-services/providers";

bool is_meant(const value& provider, const core::json::object& reference) {
  const auto* version = reference.if_contains("version");
  return provider.at("name") == reference.at("name") && (version == nullptr || provider.at("version") == *version);
}

value find_provider(CommandContext& context, const std::string& wanted) {
  const auto reference = provider_reference(wanted);
  const value providers = context.client().get(kProviders);
  for (const auto& provider : providers.as_array()) {
    if (is_meant(provider, reference)) return provider;
  }
  throw core::Error(core::Code::kNotFound, fmt::format("there is no provider '{}'", wanted))
      .with_hint("see 'backstay providers list'");
}

}  // namespace

void add_provider_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("providers", "the catalogue: what can be deployed")->require_subcommand(1);
  context.add_command(*group->add_subcommand("list", "all providers"),
                      [&context] { context.print(context.client().get(kProviders), providers_table); });
  auto* show = group->add_subcommand("show", "plans and schemas of a provider");
  auto wanted = std::make_shared<std::string>();
  show->add_option("provider", *wanted, "name or name:version")->required();
  context.add_command(*show, [&context, wanted] { context.print(find_provider(context, *wanted), provider_page); });
}

}  // namespace backstay::cli
