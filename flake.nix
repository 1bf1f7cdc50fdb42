{
  description = "The learning problems in Jürgen Schmidhuber's experimental papers: a development shell";

  inputs.nixpkgs.url = "nixpkgs";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = function: nixpkgs.lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});
    in
    {
      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.gnumake
            (pkgs.python3.withPackages (python: with python; [ numpy matplotlib pillow tqdm pytest pytest-xdist ]))
            pkgs.ruff
            pkgs.mdbook
          ];
        };
      });
    };
}
